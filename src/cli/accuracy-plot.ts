import type { CompareRow } from '../run/compare.ts';
import { METHOD_COLOURS, scatterPlot } from './svg.ts';
import { percent } from './table.ts';

const NAMES = { fp32: 'fp32', kmeans: 'k-means', linear: 'linear, integers only' } as const;

/** Accuracy over size of the rows that ran: a colour a method, what was fine-tuned as rings. */
export function accuracyPlot(title: string, rows: readonly CompareRow[]): string {
  const points = rows
    .filter((row) => row.accuracy !== undefined)
    .map(({ name, method, accuracy, accuracyLow, accuracyHigh, sizeBytes }) => {
      const hollow = name.endsWith('-qat');
      return {
        label: `${name}: ${percent(accuracy)} %`,
        series: hollow ? `${NAMES[method]}, fine-tuned` : NAMES[method],
        ...{ colour: METHOD_COLOURS[method], hollow },
        x: sizeBytes / 2 ** 20,
        y: accuracy as number,
        low: accuracyLow,
        high: accuracyHigh,
      };
    });
  return scatterPlot(title, 'size of the parameters, MiB', 'top-1, %', points);
}
