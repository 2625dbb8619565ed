import { check, LloydError } from '../gpu/errors.ts';
import { addCounts, ratesOf } from '../run/tally.ts';
import type { Context } from './command.ts';
import { type CompareReport, type CompareReportRow, checkSame, parseReport } from './compare-file.ts';
import { comparisonLines, notesOn } from './compare-table.ts';
import { findCommit } from './files.ts';
import { text } from './options.ts';
import { thousands } from './table.ts';

/** A shard's report, and its file. */
interface Part {
  path: string;
  report: CompareReport & Required<Pick<CompareReport, 'shard'>>;
}

/** `lloyd compare --merge A.json B.json ...`: the table that one run over all their images would have made. */
export async function merge(context: Context): Promise<void> {
  const { options, args, files, print } = context;
  for (const name of Object.keys(options)) {
    const isOwn = ['merge', 'json', 'adapter'].includes(name);
    check(isOwn, '--merge measures nothing and takes only files and --json', `--${name}`, 'leave it out');
  }
  const parts: Part[] = [];
  for (const path of [text(options.merge)!, ...args]) {
    parts.push(asPart(path, parseReport(path, await files.read(path))));
  }
  const merged = mergeParts(parts);
  const adapters = new Set(parts.map(({ report }) => report.adapter.name));
  if (adapters.size > 1)
    context.note(`measured on ${[...adapters].join(' and ')}; the result names one of them`);
  const { name, software } = merged.adapter;
  print(`${thousands(merged.images)} test images in ${parts.length} shards, on ${software ?? name}`);
  print();
  for (const line of [...comparisonLines(merged), ...notesOn(merged)]) print(line);
  await context.writeJson({ ...merged, commit: await findCommit(), date: new Date().toISOString() });
}

function asPart(path: string, report: CompareReport): Part {
  const { shard, partial } = report;
  if (!shard) {
    const what = 'a comparison of all its images in one';
    throw new LloydError(`${path} must be a shard of a comparison`, what, 'measure shards with --shard i/n');
  }
  const which = `shard ${shard.index}/${shard.of}`;
  if (partial || report.interrupted) {
    const cure = `finish it with lloyd compare --resume ${path}`;
    throw new LloydError(`${path} must be of a run that has ended`, `an interrupted ${which}`, cure);
  }
  return { path, report: { ...report, shard } };
}

/**
 * The report of all parts together, its keys in the order of an unsharded run's.
 *
 * @throws LloydError where the parts are not those of one comparison, or not each of them once
 */
export function mergeParts(parts: readonly Part[]): CompareReport {
  const [first, ...others] = parts;
  for (const { path, report } of others) {
    checkSame(path, report, first.path, first.report);
    checkSameRows(path, report, first);
  }
  const { shard } = first.report;
  const byIndex = new Map<number, Part>();
  for (const part of parts) {
    const { index, of } = part.report.shard;
    const twin = byIndex.get(index);
    check(!twin, 'each shard must be given once', `shard ${index}/${of} in ${twin?.path} and ${part.path}`);
    byIndex.set(index, part);
  }
  const missing = Array.from({ length: shard.of }, (_, i) => i + 1).filter((index) => !byIndex.has(index));
  check(
    missing.length === 0,
    `all ${shard.of} shards must be given`,
    `none for ${missing.map((index) => `${index}/${shard.of}`).join(', ')}`,
    'measure what is missing with --shard',
  );
  // The same result in whatever order they were named; the first one's keys are those of a run in one.
  const reports = [...byIndex].sort(([a], [b]) => a - b).map(([, { report }]) => report);
  const { shard: _, ...whole } = reports[0];
  const rows = whole.rows.map((row, i) => {
    const own = reports.map(({ images, rows }) => ({ images, row: rows[i] }));
    return mergeRow(row, shard.total, own);
  });
  return { ...whole, images: shard.total, rows };
}

/** Networks that were trained, or quantized on another adapter's ranges, between two shards are two rows. */
function checkSameRows(path: string, report: CompareReport, first: Part): void {
  for (const [i, { name, sha256, status }] of report.rows.entries()) {
    const known = first.report.rows[i];
    check(
      sha256 === known.sha256 && status === known.status,
      `${path} must have measured the same network in row ${name} as ${first.path}`,
      `${sha256 ?? status} instead of ${known.sha256 ?? known.status}`,
      'measure both with the same files, on the same kind of adapter',
    );
  }
}

function mergeRow(
  first: CompareReportRow,
  images: number,
  parts: readonly { images: number; row: CompareReportRow }[],
): CompareReportRow {
  if (first.status !== 'ok') return first;
  const counts = parts.map(({ row }) => row.counts!).reduce(addCounts);
  // The mean speed of an image, whichever machine had it.
  const seconds = parts.reduce((sum, part) => sum + part.images / part.row.imagesPerSecond!, 0);
  return {
    ...first,
    ...ratesOf(counts, images, first.name === 'fp32'),
    gpuBytes: Math.max(...parts.map(({ row }) => row.gpuBytes!)),
    imagesPerSecond: images / seconds,
    counts,
  };
}
