// Fuzzes the targets one after the other, each in a process of its own, and says what was found.
import { fork } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { type Finding, type Summary, targets } from './worker.ts';

/** Far more than an input may take, for those that never end: processor time, or this much by the clock. */
const HANG_S = 30;
const SILENT_S = 600;
/** Of a process's times in /proc, on every Linux that there is. */
const TICKS_A_SECOND = 100;

const HELP = `npm run fuzz -- [--seconds N] [--seed S] [--inputs N] [--target NAME] [--kind reader|surface] [--json FILE]

Gives made-up and damaged inputs to every reader of files, to runOperator, quantizeModel, compile and the command line:
nothing but LloydErrors may come out, nothing may take 2 s or 1 GiB, nothing that the format's rules refuse be accepted.

  --seconds N    altogether (60)
  --seed S       the first input's; each input has a seed of its own (1)
  --inputs N     that many inputs altogether, however long they take
  --target NAME  ${targets.map(({ name }) => name).join(', ')}
  --kind KIND    only readers of files, or only the rest of the surface
  --json FILE    writes the summary`;

function options() {
  const { values } = parseArgs({
    options: {
      seconds: { type: 'string', default: '60' },
      seed: { type: 'string', default: '1' },
      inputs: { type: 'string' },
      target: { type: 'string' },
      kind: { type: 'string' },
      json: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  });
  const chosen = targets.filter(
    ({ name, kind }) => (values.target ?? name) === name && (values.kind ?? kind) === kind,
  );
  const numbers = [Number(values.seconds), Number(values.seed), Number(values.inputs ?? 1)];
  if (values.help || chosen.length === 0 || numbers.some((value) => !(value >= 0))) {
    console.log(HELP);
    process.exit(values.help ? 0 : 1);
  }
  const [seconds, seed] = numbers;
  return {
    chosen,
    seconds,
    seed,
    inputs: values.inputs === undefined ? undefined : Number(values.inputs),
    json: values.json,
  };
}

/** Runs one target; a process that hangs or dies is a finding, and the next one goes on behind that input. */
async function fuzz(target: string, seed: number, seconds: number, inputs: number): Promise<Summary> {
  const total: Summary = {
    ...{ target, inputs: 0, accepted: 0, refused: 0, passedOver: 0, corpus: 0, blocks: 0 },
    slowestMs: 0,
    peakMiB: 0,
    findings: [],
  };
  const end = performance.now() + seconds * 1000;
  let from = seed;
  while (total.inputs < inputs && performance.now() < end) {
    const left = Math.max(1, Math.ceil((end - performance.now()) / 1000));
    const { summary, died } = await once(target, from, left, inputs - total.inputs);
    if (summary) {
      merge(total, summary);
      break;
    }
    total.inputs += died.seed - from + 1;
    total.findings.push(died);
    from = died.seed + 1;
  }
  return total;
}

function once(target: string, seed: number, seconds: number, inputs: number) {
  return new Promise<{ summary?: Summary; died: Finding }>((resolve) => {
    const child = fork(join(import.meta.dirname, 'worker.js'), [
      target,
      String(seed),
      String(seconds),
      String(inputs),
    ]);
    const died: Finding = { target, seed, kind: 'crash', text: 'the process ended', count: 1 };
    let summary: Summary | undefined;
    let heard = { clock: performance.now() / 1000, processor: processorSeconds(child.pid) };
    let hears = true;
    const watch = setInterval(() => {
      const now = { clock: performance.now() / 1000, processor: processorSeconds(child.pid) };
      if (hears) {
        heard = now;
        hears = false;
      } else if (now.processor - heard.processor > HANG_S || now.clock - heard.clock > SILENT_S) {
        Object.assign(died, { kind: 'hang', text: `no answer in ${HANG_S} s of processor time` });
        child.kill('SIGKILL');
      }
    }, 500);
    child.on('message', (message: { at?: number; summary?: Summary }) => {
      hears = true;
      if (message.at !== undefined) died.seed = message.at;
      summary ??= message.summary;
    });
    child.on('exit', (code, signal) => {
      clearInterval(watch);
      if (died.kind === 'crash') died.text = `the process ended with ${signal ?? code}`;
      resolve({ summary, died });
    });
  });
}

/** A process's user and system time; the clock's where there is no /proc. */
function processorSeconds(pid: number | undefined): number {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
      .replace(/^.*\) /, '')
      .split(' ');
    return (Number(fields[11]) + Number(fields[12])) / TICKS_A_SECOND;
  } catch {
    return performance.now() / 1000;
  }
}

function merge(total: Summary, part: Summary): void {
  for (const key of ['inputs', 'accepted', 'refused', 'passedOver'] as const) total[key] += part[key];
  for (const key of ['corpus', 'blocks', 'slowestMs', 'peakMiB'] as const)
    total[key] = Math.max(total[key], part[key]);
  total.findings.push(...part.findings);
}

const { chosen, seconds, seed, inputs, json } = options();
const shares = chosen.reduce((sum, { share = 1 }) => sum + share, 0);
const summaries: Summary[] = [];
for (const { name, share = 1 } of chosen) {
  const count = inputs === undefined ? Number.MAX_SAFE_INTEGER : Math.ceil((inputs * share) / shares);
  const time = inputs === undefined ? seconds / chosen.length : Number.MAX_SAFE_INTEGER / 1000;
  const summary = await fuzz(name, seed, time, count);
  summaries.push(summary);
  console.log(
    `${name.padEnd(14)} ${summary.inputs} inputs: ${summary.accepted} accepted, ${summary.refused} refused` +
      `${summary.passedOver > 0 ? `, ${summary.passedOver} passed over` : ''}; slowest ${summary.slowestMs} ms, ` +
      `peak ${summary.peakMiB} MiB${summary.blocks > 0 ? `, ${summary.blocks} blocks` : ''}; ${summary.findings.length} findings`,
  );
  for (const { kind, seed: at, text, count: times } of summary.findings)
    console.log(`  ${kind} (seed ${at}, ${times} times): ${text}`);
}
const sum = (key: 'inputs' | 'accepted' | 'refused') =>
  summaries.reduce((total, summary) => total + summary[key], 0);
const findings = summaries.flatMap((summary) => summary.findings);
console.log(
  `fuzz: ${sum('inputs')} inputs, ${sum('accepted')} accepted, ${sum('refused')} refused, ${findings.length} findings (seed ${seed})`,
);
if (json) {
  const targetsWithout = summaries.map(({ findings: found, ...rest }) => ({
    ...rest,
    findings: found.length,
  }));
  const result = {
    seed,
    inputs: sum('inputs'),
    accepted: sum('accepted'),
    refused: sum('refused'),
    targets: targetsWithout,
    findings,
  };
  writeFileSync(json, `${JSON.stringify(result, null, 2)}\n`);
}
process.exit(findings.length === 0 ? 0 : 1);
