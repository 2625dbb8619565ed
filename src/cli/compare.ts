import { requantizeRules } from '../conv/requantize.ts';
import { check } from '../gpu/errors.ts';
import type { Runtime } from '../gpu/runtime.ts';
import type { ImageModel } from '../model/graph.ts';
import {
  type CompareOptions,
  type CompareRow,
  type CompareRowName,
  type Comparison,
  compareModel,
  compareRowNames,
} from '../run/compare.ts';
import { affordableComparison, COMPARE_SECONDS, rowSeconds, type Speed } from './budget.ts';
import type { Context } from './command.ts';
import type { CompareReport } from './compare-file.ts';
import { merge } from './compare-merge.ts';
import {
  type CompareRequest,
  checkAdapter,
  checkEarlier,
  type Keeper,
  keeping,
  readEarlier,
  settingsOf,
  whereIs,
} from './compare-resume.ts';
import { comparisonLines, notesOn, recordedLines, spread } from './compare-table.ts';
import { loadImages } from './data.ts';
import { findCommit } from './files.ts';
import { type LiveRows, liveRows } from './live-rows.ts';
import { choice, imageCount, integer, list, TEST_IMAGES, text } from './options.ts';
import { findRecorded } from './recorded.ts';
import { recovering } from './recover.ts';
import { readShard, type Shard, shardOf, shardRange } from './shard.ts';
import { percent, thousands } from './table.ts';
import { tuning } from './tuning.ts';
import { loadFloatModel, loadTrainedRows, portablePath } from './weights.ts';

const CALIBRATION_IMAGES = 256;
/** Below this the interval is wide enough that the recorded figures say more. */
const FEW_IMAGES = 1000;

export async function run(context: Context): Promise<void> {
  const { options, args } = context;
  if (options.merge !== undefined) return merge(context);
  check(args.length === 0, 'compare takes no arguments', args.join(' '), 'see lloyd compare --help');
  const given = readRequest(context);
  const earlier = await readEarlier(context);
  const request = earlier ? settingsOf(earlier, given) : given;
  const { batch, requantize = 'ort-f32', rows = compareRowNames, part, tune } = request;
  const asked = request.images ?? (part && TEST_IMAGES);
  const shard = part && shardOf(part, asked!);
  const weights = await loadFloatModel(context.files, text(options.weights));
  const trained = await loadTrainedRows(context.files, weights.path);
  if (earlier) checkEarlier(earlier, weights, trained);
  if (earlier && !earlier.report.partial) {
    context.note(`${earlier.path} is of a run that has ended: nothing is left to do`);
    await conclude(context, earlier.report, request.rows ?? null);
    return;
  }
  const device = await recovering(context);
  if (earlier) checkAdapter(earlier, device.runtime);
  context.print(
    `Comparing ${rows.length} precision${rows.length === 1 ? '' : 's'} of a VGG on CIFAR-10, on ${describeAdapter(device.runtime)}`,
  );

  const calibrates = rows.some((name) => name.startsWith('linear-') && !name.endsWith('-qat'));
  const calibration = earlier?.report.calibrationImages ?? (calibrates ? CALIBRATION_IMAGES : 0);
  const data = await loadImages(context.files, asked ?? TEST_IMAGES, calibration);
  const { first, count } = shard ? shardRange(shard) : { first: 0, count: data.test.count };
  const perImage = data.test.images.length / data.test.count;
  const images = data.test.images.subarray(first * perImage, (first + count) * perImage);
  const labels = data.test.labels.subarray(first, first + count);
  // Asked for by number, the result must not depend on how busy the machine is.
  const timed = asked === undefined && device.runtime.adapter.profile === 'cpu';
  const size = { images: count, calibration: data.calibration.length / perImage };
  if (timed)
    context.print(
      `As many test images and precisions as fit into about ${COMPARE_SECONDS} seconds; --images N and --rows choose`,
    );
  else context.print(sizeLine(size.images, shard));
  if (earlier?.report.partial) {
    const { rows: done, partial } = earlier.report;
    context.note(`going on with ${earlier.path} after ${whereIs({ rows: done, current: partial.current })}`);
  }
  context.print();

  // The whole's, in a part too: another batch may take other kernels, whose float logits end in other bits.
  const ownBatch = Math.min(
    batch ?? (timed ? LIVE_BATCH[device.runtime.adapter.source] : 32) ?? 8,
    data.test.count,
  );
  const settings = {
    batch: ownBatch,
    requantize,
    weights: { file: await portablePath(weights.path), sha256: weights.sha256 },
    ...(shard && { shard }),
    ...(tune && { tuned: true as const }),
    commit: await findCommit(),
  };
  const model = weights.network.graph.name;
  const describe = (rows: CompareReport['rows']): CompareReport => {
    const { adapter } = device.runtime;
    const { images, calibration: calibrationImages } = size;
    return { adapter, images, model, rows, calibrationImages, ...settings, date: new Date().toISOString() };
  };
  const keeper = keeping(context, earlier, rows, describe);
  const comparison = await measureRows(context, device.runtime, weights.network, images, labels, keeper, {
    calibration: data.calibration,
    rows: timed && !request.rows ? inOrder(rows) : rows,
    trained,
    batch: ownBatch,
    requantize,
    tune,
    onLost: device.renew,
    ...(timed && timeBox(rows, trained, ownBatch, size)),
  });
  await conclude(context, describe(keeper.withHashes(comparison.rows)), request.rows ?? null, timed);
}

/** What a software adapter shows first: a row of each kind. */
const FIRST: readonly CompareRowName[] = ['fp32', 'linear-8', 'kmeans-4'];
/** Images at once where they are shown as they come: SwiftShader gains nothing by more. */
const LIVE_BATCH: Partial<Record<Runtime['adapter']['source'], number>> = { swiftshader: 1 };

const inOrder = (rows: readonly CompareRowName[]) => [
  ...FIRST.filter((name) => rows.includes(name)),
  ...rows.filter((name) => !FIRST.includes(name)),
];

/** Chooses how many images there is time for, into `size`, and leaves out rows that there is none for. */
function timeBox(
  rows: readonly CompareRowName[],
  trained: CompareOptions['trained'],
  batch: number,
  size: { images: number; calibration: number },
): Pick<CompareOptions, 'onSpeed' | 'onStart'> {
  const begun = performance.now();
  const all = rows.filter((name) => !name.endsWith('-qat') || trained?.[name]).length;
  const first = FIRST.filter((name) => rows.includes(name)).length || all;
  let speed: Speed | undefined;
  return {
    onSpeed(measured) {
      speed = measured;
      const { images, calibration } = affordableComparison(
        speed,
        { all, first: Math.min(first, all) },
        batch,
      );
      size.images = Math.min(size.images, Math.max(images, batch));
      size.calibration = Math.min(size.calibration, calibration);
      return size;
    },
    onStart(name) {
      // What has no network takes no time.
      if (!speed || FIRST.includes(name) || (name.endsWith('-qat') && !trained?.[name])) return true;
      const elapsed = (performance.now() - begun) / 1000;
      return elapsed + rowSeconds(speed, size.images) <= COMPARE_SECONDS;
    },
  };
}

function sizeLine(images: number, shard?: Shard): string {
  const which = shard ? ` (part ${shard.index}/${shard.of} of ${thousands(shard.total)})` : '';
  return (
    `${thousands(images)} test image${images === 1 ? '' : 's'}${which}: ` +
    `accuracies to within ${spread(images)} points (95 %)`
  );
}

/**
 * Prints a report, beside the recorded one where that says more, and writes it. Rows that have no network yet are in the
 * table only where they were asked for.
 */
async function conclude(
  context: Context,
  report: CompareReport,
  asked: readonly CompareRowName[] | null,
  timed = false,
): Promise<void> {
  const { images, weights, requantize, rows } = report;
  const shown = asked ? report : { ...report, rows: rows.filter(({ status }) => status === 'ok') };
  if (timed) for (const line of ['', sizeLine(images), '']) context.print(line);
  for (const line of [...comparisonLines(shown), ...notesOn(report)]) context.print(line);
  const names = rows.map(({ name }) => name);
  const left = compareRowNames.filter((name) => !asked && !names.includes(name));
  if (left.length > 0)
    context.print(
      `left out for want of time: ${left.join(', ')}; npx lloyd compare --images ${images} --rows ${left.join(',')}`,
    );
  const recorded = images < FEW_IMAGES ? await findRecorded(weights.sha256, requantize, FEW_IMAGES) : null;
  if (recorded) for (const line of recordedLines(recorded, names)) context.print(line);
  await context.writeJson(report);
}

/** The options, checked by themselves. */
function readRequest(context: Context): CompareRequest {
  const { options } = context;
  const asked = imageCount(options.images);
  const request = {
    images: asked && Math.min(asked, TEST_IMAGES),
    batch: integer('--batch', options.batch),
    requantize: choice('--requantize', options.requantize, requantizeRules),
    rows: options.rows === undefined ? undefined : readRows(list(options.rows)),
    part: readShard(options.shard),
    tune: tuning(context),
  };
  check(
    !(request.tune && request.part),
    '--shard leaves the choice of kernels to the library, as tuned ones may end in other bits',
    '--tune',
    'leave it out',
  );
  return request;
}

/** `lavapipe (llvmpipe (LLVM 19.1.7, 256 bits), system software)`: the name people know first. */
export function describeAdapter({ adapter }: Runtime): string {
  const kind = {
    caller: 'your device',
    hardware: 'hardware',
    'system-software': "the system's software Vulkan",
    swiftshader: 'software',
    browser: 'browser',
  }[adapter.source];
  return adapter.software ? `${adapter.software} (${adapter.name}; ${kind})` : `${adapter.name} (${kind})`;
}

function readRows(names: readonly string[] | undefined): CompareRowName[] {
  for (const name of names ?? []) {
    check(
      (compareRowNames as readonly string[]).includes(name),
      `--rows are ${compareRowNames.join(', ')}`,
      name,
    );
  }
  return compareRowNames.filter((name) => name === 'fp32' || !names || names.includes(name));
}

async function measureRows(
  context: Context,
  runtime: Runtime,
  model: ImageModel,
  images: Uint8Array,
  labels: Uint8Array,
  { resume, onNetwork, onState, keepAfter }: Keeper,
  options: Pick<
    CompareOptions,
    'calibration' | 'rows' | 'trained' | 'batch' | 'requantize' | 'tune' | 'onLost' | 'onSpeed' | 'onStart'
  >,
): Promise<Comparison> {
  const live = liveRows(labels);
  let started = performance.now();
  try {
    return await compareModel(runtime, model, images, labels, {
      ...options,
      ...{ resume, onNetwork, onState },
      signal: context.signal,
      onStart(name) {
        if (!(options.onStart?.(name) ?? true)) return false;
        started = performance.now();
        if (!name.endsWith('-qat') || options.trained?.[name]) live.start(name);
        return true;
      },
      onLost(loss) {
        live.stop();
        return options.onLost!(loss);
      },
      onProgress: ({ done, total, logits }) => live.update(done, total, logits),
      onRow: (row) => endRow(live, row, (performance.now() - started) / 1000),
    });
  } catch (error) {
    live.stop();
    throw await keepAfter(error);
  }
}

function endRow(live: LiveRows, row: CompareRow, seconds: number): void {
  if (row.status === 'ok') live.end(`${percent(row.accuracy, 1)} % in ${seconds.toFixed(1)} s`);
}
