import type { RequantizeRule } from '../conv/requantize.ts';
import { check, LloydError } from '../gpu/errors.ts';
import type { Runtime } from '../gpu/runtime.ts';
import type { ImageModel } from '../model/graph.ts';
import type { QuantizedModel } from '../model/quantized-model.ts';
import type { CompareRowName, CompareState } from '../run/compare.ts';
import { writeModelFile } from '../run/file.ts';
import type { TuneOptions } from '../run/tune.ts';
import type { Context } from './command.ts';
import {
  type CompareReport,
  decodeLogits,
  encodeLogits,
  type PartialRun,
  parseReport,
} from './compare-file.ts';
import { Interrupted } from './errors.ts';
import { readInput, sha256 } from './files.ts';
import { text } from './options.ts';
import { isSame, locate } from './place.ts';
import type { Shard } from './shard.ts';
import type { LoadedModel } from './weights.ts';

/** Within a row, what is done is written this often: a killed process loses no more. */
const KEEP_EVERY_MS = 5000;

/** What a comparison is asked to be; what is undefined is left to the command. */
export interface CompareRequest {
  /** Test images, of which a shard takes its part. */
  images?: number;
  batch?: number;
  requantize?: RequantizeRule;
  rows?: readonly CompareRowName[];
  part?: Pick<Shard, 'index' | 'of'>;
  tune?: TuneOptions;
}

/** An earlier run's report, to go on from, and its file. */
export interface Earlier {
  path: string;
  report: CompareReport;
}

/** Reads what `--resume` names. It may be the file that is written: that one is replaced by what it becomes. */
export async function readEarlier({ options, files }: Context): Promise<Earlier | undefined> {
  const path = text(options.resume);
  if (path === undefined) return undefined;
  const json = text(options.json) ?? path;
  const isOwn = json === path || (await isSame(await locate(json), await locate(path)));
  return { path, report: parseReport(path, isOwn ? await readInput(path) : await files.read(path)) };
}

/** The settings of the earlier run; an option that is given all the same must say what they say. */
export function settingsOf({ path, report }: Earlier, given: CompareRequest): CompareRequest {
  const { shard, batch, requantize, partial } = report;
  const images = shard?.total ?? report.images;
  const rows = partial?.rows ?? report.rows.map(({ name }) => name);
  const same = (flag: string, value: unknown, was: unknown) =>
    check(
      value === undefined || String(value) === String(was),
      `${flag} must be that of ${path}`,
      value,
      `leave it out for ${was}`,
    );
  const partOf = (part: CompareRequest['part']) => part && `${part.index}/${part.of}`;
  same('--images', given.images, images);
  same('--batch', given.batch && Math.min(given.batch, images), batch);
  same('--requantize', given.requantize, requantize);
  same('--rows', given.rows, rows);
  same('--shard', partOf(given.part), partOf(shard) ?? 'all images');
  check(!report.tuned && !given.tune, 'a run with --tune cannot be gone on with', path, 'measure it again');
  return { images, batch, requantize: requantize as RequantizeRule, rows, part: shard };
}

/** Refuses to go on with other networks, or on another adapter: the row would be neither's. */
export function checkEarlier(
  { path, report }: Earlier,
  weights: LoadedModel,
  trained: Partial<Record<CompareRowName, QuantizedModel>>,
): void {
  check(
    weights.sha256 === report.weights.sha256,
    `${path} must be of the same weights`,
    `${weights.path} of sha256 ${weights.sha256} instead of ${report.weights.sha256}`,
    'pass its own with --weights',
  );
  for (const row of report.rows) {
    if (row.status !== 'ok' || !row.name.endsWith('-qat')) continue;
    const network = trained[row.name];
    if (network) checkNetworkOf(path, row.name, row.sha256!, hashOf(network));
    else throw new LloydError(`${path} needs the network of its row ${row.name} beside the weights`, 'none');
  }
}

export function checkAdapter({ path, report }: Earlier, { adapter }: Runtime): void {
  check(
    adapter.name === report.adapter.name,
    `${path} must be gone on with on the same adapter`,
    `${adapter.name} instead of ${report.adapter.name}`,
    'measure the rest as a --shard of its own to share work between adapters',
  );
}

function checkNetworkOf(path: string, row: string, was: string, is: string): void {
  check(
    is === was,
    `${path} must have measured the same network in row ${row}`,
    `${is} instead of ${was}`,
    'measure it again without --resume',
  );
}

/** What tells one row's network from another's. */
const hashOf = (network: ImageModel | QuantizedModel) => sha256(writeModelFile(network));

/** What a comparison has measured, on its way to its file. */
export interface Keeper {
  /** Goes on from the earlier run. */
  resume: CompareState | undefined;
  onNetwork(name: CompareRowName, network: ImageModel | QuantizedModel): void;
  onState(state: CompareState): Promise<void>;
  /** What an error is told as, once all there is has been written. */
  keepAfter(error: unknown): Promise<unknown>;
  /** The rows of a report, with the hashes of their networks. */
  withHashes(rows: CompareState['rows']): CompareReport['rows'];
}

/**
 * Keeps a comparison's state in the file of `--json`: after each row, and now and then within one.
 *
 * @param describe the report of a run that is at these rows
 */
export function keeping(
  context: Context,
  earlier: Earlier | undefined,
  wanted: readonly CompareRowName[],
  describe: (rows: CompareReport['rows']) => CompareReport,
): Keeper {
  const partial = earlier?.report.partial;
  const kept = earlier?.report.rows.filter(({ status }) => status === 'ok') ?? [];
  const hashes = new Map(kept.map(({ name, sha256 }) => [name, sha256]));
  let latest: CompareState | undefined;
  let pending = false;
  let at = performance.now();
  const withHashes = (rows: CompareState['rows']) =>
    rows.map((row) => (hashes.has(row.name) ? { ...row, sha256: hashes.get(row.name) } : row));
  const write = async () => {
    if (!latest || !pending) return;
    const { rows, reference, current } = latest;
    const unfinished: PartialRun = {
      rows: [...wanted],
      reference: encodeLogits(reference),
      ...(current && {
        current: { ...current, sha256: hashes.get(current.name)!, logits: encodeLogits(current.logits) },
      }),
    };
    pending = false;
    await context.keepJson({ ...describe(withHashes(rows)), interrupted: true, partial: unfinished });
    at = performance.now();
  };
  return {
    resume: partial && {
      rows: kept.map(({ sha256: _, ...row }) => row),
      reference: decodeLogits(partial.reference),
      current: partial.current && { ...partial.current, logits: decodeLogits(partial.current.logits) },
    },
    onNetwork(name, network) {
      const hash = hashOf(network);
      if (partial?.current?.name === name) checkNetworkOf(earlier!.path, name, partial.current.sha256, hash);
      hashes.set(name, hash);
    },
    async onState(state) {
      latest = state;
      pending = true;
      if (!state.current || performance.now() - at >= KEEP_EVERY_MS) await write();
    },
    async keepAfter(error) {
      await write();
      const path = text(context.options.json ?? context.options.resume);
      if (!context.signal.aborted || !latest) return error;
      const cure = path && context.files.written.has(path) ? `go on with --resume ${path}` : null;
      return new Interrupted(`after ${whereIs(latest)}`, cure);
    },
    withHashes,
  };
}

/** `3 rows and 640 images of kmeans-4`. */
export function whereIs({
  rows,
  current,
}: Pick<CompareState, 'rows'> & { current?: { name: string; images: number } }): string {
  const count = rows.filter(({ status }) => status === 'ok').length;
  const done = count > 0 || !current ? [`${count} row${count === 1 ? '' : 's'}`] : [];
  if (current) done.push(`${current.images} image${current.images === 1 ? '' : 's'} of ${current.name}`);
  return done.join(' and ');
}
