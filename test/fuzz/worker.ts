// A process that fuzzes one target: `worker.js TARGET SEED SECONDS INPUTS`. Says where it is before each input, so that
// whoever started it knows which one hung or killed it.
import { setImmediate } from 'node:timers/promises';
import { LloydError } from '../../src/gpu/errors.ts';
import { commandLine } from './command-line.ts';
import { Coverage } from './coverage.ts';
import { modelFiles } from './model-files.ts';
import { networkTargets } from './networks.ts';
import { onnxFiles } from './onnx-files.ts';
import { operatorTargets } from './operators.ts';
import { otherFiles } from './other-files.ts';
import { damaged, Random } from './random.ts';
import { type Target, Unbuildable } from './target.ts';
import { tensorFiles } from './tensor-files.ts';
import { tfjsFiles } from './tfjs-files.ts';

export const targets = [
  ...tensorFiles,
  ...modelFiles,
  ...otherFiles,
  ...onnxFiles,
  ...tfjsFiles,
  ...operatorTargets,
  ...networkTargets,
  ...commandLine,
] as unknown as Target[];

/** What an input may take: processor time, so that a busy machine changes nothing, and the process's memory. */
const SLOW_MS = 2000;
const MOST_MIB = 1024;
const BATCH = 64;
const CORPUS = 400;

export interface Finding {
  target: string;
  seed: number;
  kind: 'not a LloydError' | 'accepted' | 'slow' | 'memory' | 'hang' | 'crash';
  text: string;
  input?: string;
  count: number;
}

export interface Summary {
  target: string;
  inputs: number;
  accepted: number;
  refused: number;
  passedOver: number;
  corpus: number;
  blocks: number;
  slowestMs: number;
  peakMiB: number;
  findings: Finding[];
}

async function main([name, firstSeed, seconds, inputs]: string[]): Promise<void> {
  const target = targets.find((candidate) => candidate.name === name);
  if (!target) throw new Error(`no such target: ${name}`);
  await target.open?.();
  const summary: Summary = {
    ...{ target: name, inputs: 0, accepted: 0, refused: 0, passedOver: 0, corpus: 0, blocks: 0 },
    slowestMs: 0,
    peakMiB: 0,
    findings: [],
  };
  const { slowMs = SLOW_MS } = target;
  const isFile = target.kind === 'reader';
  const coverage = isFile ? new Coverage('/fuzz-') : undefined;
  const corpus: Uint8Array[] = [];
  const note = (seed: number, kind: Finding['kind'], text: string, input: unknown) => {
    const known = summary.findings.find((finding) => finding.kind === kind && finding.text === text);
    if (known) known.count++;
    else {
      const shown =
        target.show?.(input) ?? Buffer.from((input as Uint8Array).subarray(0, 4096)).toString('base64');
      summary.findings.push({ target: name, seed, kind, text, input: shown.slice(0, 6000), count: 1 });
    }
  };

  const tryInput = async (seed: number, input: unknown) => {
    const started = process.cpuUsage();
    try {
      const output = await target.run(input);
      summary.accepted++;
      const broken = target.verify?.(output as never, input);
      if (broken) note(seed, 'accepted', broken.replace(/\d+/g, 'N'), input);
    } catch (error) {
      if (error instanceof LloydError) summary.refused++;
      else if (error instanceof Unbuildable) summary.passedOver++;
      else note(seed, 'not a LloydError', spell(error), input);
    }
    return processorMs(started);
  };

  const timeInput = async (seed: number, input: unknown) => {
    let ms = await tryInput(seed, input);
    if (ms > slowMs) {
      // Once more: a software adapter compiles each shader once, for seconds, whatever the input is.
      const { accepted, refused, passedOver } = summary;
      ms = await tryInput(seed, input);
      Object.assign(summary, { accepted, refused, passedOver });
    }
    summary.slowestMs = Math.max(summary.slowestMs, ms);
    if (ms > slowMs) note(seed, 'slow', `more than ${slowMs} ms of processor time`, input);
  };

  const end = performance.now() + Number(seconds) * 1000;
  const most = Number(inputs);
  let seed = Number(firstSeed);
  let peak = process.resourceUsage().maxRSS / 1024;
  let batch: Uint8Array[] = [];
  while (summary.inputs < most && performance.now() < end) {
    const random = new Random(Math.imul(seed, 2654435761));
    let input: unknown;
    if (target.grows !== false && corpus.length > 0 && random.chance(0.4)) {
      input = damaged(random, random.pick(corpus), random.pick(corpus));
    } else input = target.make(random);
    process.send?.({ at: seed });
    await timeInput(seed, input);
    summary.inputs++;
    if (coverage) {
      batch.push(input as Uint8Array);
      if (batch.length === BATCH) {
        // Blocks that are new come from some of the batch: one by one again only then.
        if (coverage.take() > 0) corpus.push(...random.shuffled(batch).slice(0, 4));
        if (corpus.length > CORPUS) corpus.splice(random.int(corpus.length), 4);
        batch = [];
      }
    }
    const now = process.resourceUsage().maxRSS / 1024;
    if (now > Math.max(peak, MOST_MIB)) note(seed, 'memory', `more than ${MOST_MIB} MiB`, input);
    peak = Math.max(peak, now);
    seed++;
    // Lets the end of whoever started this be heard.
    if (seed % BATCH === 0) await setImmediate();
  }
  Object.assign(summary, { corpus: corpus.length, blocks: coverage?.blocks ?? 0, peakMiB: Math.round(peak) });
  summary.slowestMs = Math.round(summary.slowestMs);
  coverage?.close();
  await target.close?.();
  process.send?.({ summary }, () => process.exit(0));
}

function processorMs(started: NodeJS.CpuUsage): number {
  const { user, system } = process.cpuUsage(started);
  return (user + system) / 1000;
}

/** The error, and the place of ours that threw it: one finding for all inputs that end there. */
function spell(error: unknown): string {
  if (!(error instanceof Error)) return `thrown: ${String(error).slice(0, 100)}`;
  const place = /\n\s+at (\S+)/.exec(error.stack ?? '')?.[1].replace(/^.*\//, '') ?? '';
  return `${error.name}: ${error.message.replace(/\d+/g, 'N').slice(0, 120)} (${place})`;
}

if (process.send) {
  process.on('disconnect', () => process.exit(1));
  await main(process.argv.slice(2));
}
