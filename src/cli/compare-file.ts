import { requantizeRules } from '../conv/requantize.ts';
import { check, LloydError } from '../gpu/errors.ts';
import { type CompareRow, type CompareRowName, type Comparison, compareRowNames } from '../run/compare.ts';
import { isExact } from '../run/exact-sum.ts';
import { ratesOf } from '../run/tally.ts';
import { type Shard, shardRange } from './shard.ts';

/** A row, and which network it is of. */
export interface CompareReportRow extends CompareRow {
  /** Of the network as a file, without metadata; none where there is no network. */
  sha256?: string;
}

/** What `--json` writes: the comparison, and what it takes to tell two of them apart. */
export interface CompareReport extends Comparison {
  rows: CompareReportRow[];
  calibrationImages: number;
  batch: number;
  requantize: string;
  weights: { file: string; sha256: string };
  /** Which part of the test images this is; `images` counts those of the part. */
  shard?: Shard;
  /** Whether `--tune` chose the kernels: float logits may then differ in their last bits from run to run. */
  tuned?: true;
  commit: string | null;
  date: string;
  /** A run that has not ended, and what it takes to go on. */
  interrupted?: true;
  partial?: PartialRun;
}

/** What a run that has not ended keeps beside its finished rows. */
export interface PartialRun {
  /** The rows asked for. */
  rows: CompareRowName[];
  /** fp32's logits of all images, float32 little-endian in base64; empty until that row is finished. */
  reference: string;
  /** The row under way: how many of its images are done, their logits, and which network it is of. */
  current?: { name: CompareRowName; images: number; sha256: string; logits: string };
}

const RULE = 'must be a file that lloyd compare --json wrote';

/**
 * Reads a report that can be gone on with or merged: one whose rows have their counts. Rates are those of the counts.
 *
 * @throws LloydError naming the file, for any other content
 */
export function parseReport(path: string, bytes: Uint8Array): CompareReport {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (cause) {
    throw new LloydError(`${path} ${RULE}`, 'no JSON', (cause as Error).message, { cause });
  }
  const must = (condition: unknown, what: string) =>
    check(condition, `${path} ${RULE}`, `one without ${what}`, 'measure it again');
  must(isRecord(value) && Array.isArray(value.rows), 'rows');
  const report = value as unknown as CompareReport;
  const { images, rows, weights, adapter, shard, partial } = report;
  must(isCount(images) && isCount(report.batch), 'a number of images and a batch');
  must(
    isRecord(weights) && isHash(weights.sha256) && typeof weights.file === 'string',
    'the hash of its weights',
  );
  must(isRecord(adapter) && typeof adapter.name === 'string', 'an adapter');
  must(Number.isSafeInteger(report.calibrationImages) && report.calibrationImages >= 0, 'calibration images');
  must((requantizeRules as readonly string[]).includes(report.requantize), 'a known requantization rule');
  must(
    shard === undefined || (isRecord(shard) && isShard(shard) && shardRange(shard).count === images),
    'a shard that is one',
  );
  must(partial === undefined || (isRecord(partial) && isPartial(partial)), 'what it takes to go on');
  const names = rows.map((row) => row?.name);
  must(isSelection(names) && (partial || names.length > 0), 'known rows in their order');
  return { ...report, rows: rows.map((row) => checkedRow(row, images, must)) };
}

function checkedRow(
  row: CompareReportRow,
  images: number,
  must: (condition: unknown, what: string) => void,
): CompareReportRow {
  must(isPositive(row.sizeBytes), 'sizes');
  if (row.status === 'not trained') return row;
  const { name, counts, sha256 } = row;
  must(row.status === 'ok' && isHash(sha256), `the hash of ${name}'s network`);
  must(
    [row.fileBytes, row.gpuBytes, row.imagesPerSecond].every(isPositive),
    `the sizes and speed of ${name}`,
  );
  const isShare = (count: unknown) =>
    Number.isSafeInteger(count) && Number(count) >= 0 && Number(count) <= images;
  must(isRecord(counts) && isShare(counts.correct) && isShare(counts.agreeing), `the counts of ${name}`);
  must(isExact(counts?.signal) && isExact(counts?.noise), `the sums of ${name}`);
  return { ...row, ...ratesOf(counts!, images, name === 'fp32') };
}

/**
 * Refuses a report that is not of the same comparison: weights, images, rows and whatever else moves a figure.
 *
 * @param others what it is held against: `a.json`
 */
export function checkSame(
  path: string,
  report: CompareReport,
  others: string,
  expected: CompareReport,
): void {
  const known = identityOf(expected);
  for (const [what, value] of Object.entries(identityOf(report))) {
    check(
      value === known[what],
      `${path} must be of the same ${what} as ${others}`,
      `${value} instead of ${known[what]}`,
    );
  }
}

function identityOf(report: CompareReport): Record<string, string> {
  const { weights, images, rows, shard, partial } = report;
  return {
    weights: weights.sha256,
    images: `${shard?.total ?? images} images`,
    parts: shard ? `${shard.of} parts` : 'no parts',
    rows: (partial?.rows ?? rows.map(({ name }) => name)).join(','),
    batch: String(report.batch),
    'requantization rule': report.requantize,
    'calibration images': String(report.calibrationImages),
  };
}

/** float32 little-endian in base64: what every machine that has WebGPU holds them as. */
export const encodeLogits = (logits: Float32Array) =>
  Buffer.from(logits.buffer, logits.byteOffset, logits.byteLength).toString('base64');

export const decodeLogits = (text: string) =>
  new Float32Array(Uint8Array.from(Buffer.from(text, 'base64')).buffer);

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null;
const isCount = (value: unknown) => Number.isSafeInteger(value) && Number(value) >= 1;
const isPositive = (value: unknown) => Number.isFinite(value) && Number(value) > 0;
const isHash = (value: unknown) => typeof value === 'string' && /^[0-9a-f]{64}$/.test(value);
const isLogits = (value: unknown) =>
  typeof value === 'string' && Buffer.from(value, 'base64').byteLength % Float32Array.BYTES_PER_ELEMENT === 0;

function isShard({ index, of, total, first }: Shard): boolean {
  return (
    [index, of, total].every(isCount) &&
    index <= of &&
    of <= total &&
    first === shardRange({ index, of, total }).first
  );
}

/** Known names, each once, in the order of the table. */
function isSelection(names: readonly unknown[]): boolean {
  const places = names.map((name) => compareRowNames.indexOf(name as CompareRowName));
  return places.every((place, i) => place > (i === 0 ? -1 : places[i - 1]));
}

function isPartial({ rows, reference, current }: PartialRun): boolean {
  return (
    Array.isArray(rows) &&
    isSelection(rows) &&
    isLogits(reference) &&
    (current === undefined ||
      (isRecord(current) &&
        rows.includes(current.name) &&
        isCount(current.images) &&
        isHash(current.sha256) &&
        isLogits(current.logits)))
  );
}
