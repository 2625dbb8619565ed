import type { CompareRow, Comparison } from '../run/compare.ts';
import { wilson } from '../run/metrics.ts';
import type { CompareReport } from './compare-file.ts';
import { alignTable, columns, decibels, mebibytes, percent, significant, thousands } from './table.ts';

const HEADINGS =
  'precision, accuracy %, 95 % interval, agrees %, SQNR dB, size MiB, file MiB, GPU MiB, images/s';

/** The table of one comparison. */
export function comparisonLines({ rows, images }: Comparison): string[] {
  // An image of 30 is three points: a second decimal would only pretend.
  const digits = images < 1000 ? 1 : 2;
  return alignTable(
    columns(HEADINGS),
    rows.map((row) => cellsOf(row, digits)),
  );
}

/** Cells of one row; a row that was not measured says why in place of its accuracy. */
export function cellsOf(row: CompareRow, digits = 2): string[] {
  if (row.status !== 'ok')
    return [row.name, row.status, '-', '-', '-', mebibytes(row.sizeBytes), '-', '-', '-'];
  return [
    row.name,
    percent(row.accuracy, digits),
    `${percent(row.accuracyLow, 1)}-${percent(row.accuracyHigh, 1)}`,
    percent(row.agreement, digits),
    row.name === 'fp32' ? '-' : decibels(row.logitSqnrDb),
    mebibytes(row.sizeBytes),
    mebibytes(row.fileBytes),
    mebibytes(row.gpuBytes),
    significant(row.imagesPerSecond),
  ];
}

/** What the columns mean, and what is missing. */
export function notesOn({ rows }: Comparison): string[] {
  return [
    '',
    'agrees: same top class as fp32. SQNR: the logits against fp32. size: every parameter at the target width;',
    'file: as written, codebooks and scales included; GPU: weights, activations and staging in GPU memory.',
    ...(rows.some(({ name, status }) => name.endsWith('-qat') && status === 'ok')
      ? ['qat: fine-tuned networks of their own, so agreement and SQNR against fp32 also show the training.']
      : []),
    ...rows
      .filter(({ status }) => status === 'not trained')
      .map(
        ({ name, train }) =>
          `${name}: not trained, no such file lies beside the weights; npx ${train ?? 'lloyd finetune'} makes it`,
      ),
  ];
}

/** The figures that an earlier, longer run of this command recorded for the same weights. */
export function recordedLines(report: CompareReport, wanted: readonly string[]): string[] {
  const rows = report.rows.filter(({ name, status }) => wanted.includes(name) && status === 'ok');
  const where = report.adapter.software ?? report.adapter.name;
  return [
    '',
    `recorded: the same weights on ${thousands(report.images)} test images (${where}, ${report.date.slice(0, 10)})`,
    '',
    ...alignTable(
      columns('precision, accuracy %, 95 % interval, agrees %, SQNR dB'),
      rows.map((row) => cellsOf(row).slice(0, 5)),
    ),
  ];
}

/** Half the width of Wilson's interval around 93 %, in points: what so many images can tell apart. */
export function spread(images: number): string {
  const [low, high] = wilson(Math.round(images * 0.93), images);
  return `${percent((high - low) / 2, 1)}`;
}
