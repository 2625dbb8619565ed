import { columns, decibels, markdownTable, mebibytes, thousands } from '../../src/cli/table.ts';
import { softwareNote } from '../readme.ts';
import { formatNumber } from '../report.ts';
import type { NetworkRow } from './measure.ts';

/** What `npm run networks` writes. */
export interface NetworksReport {
  adapter: string;
  device: string;
  commit: string;
  date: string;
  platform: string;
  /** Samples a network is compared on, and those that calibrate it. */
  samples: number;
  calibration: number;
  networks: (NetworkRow | RefusedNetwork)[];
  interrupted?: true;
}

/** A network that could not be measured, and why. */
export interface RefusedNetwork {
  network: string;
  reason: string;
}

const COLUMNS =
  'network, nodes, on GPU, float error, int8 SQNR dB, k-means 4 SQNR dB, MiB fp32, MiB int8, MiB k-means 4, ms fp32, ms int8, ms tfjs (WebGPU), ms ONNX Runtime (WebGPU)';

/** The README's table: a line a network, with what is true of all of them under it. */
export function networksTable(report: NetworksReport): string[] {
  const { adapter, commit, date, platform, samples, calibration, networks } = report;
  const lines = networks.map((row) =>
    'reason' in row
      ? [
          row.network,
          ...columns(COLUMNS)
            .slice(1)
            .map(() => '-'),
        ]
      : cells(row),
  );
  return [
    ...markdownTable(columns(COLUMNS), lines),
    '',
    `${adapter}, ${platform}, commit ${commit}, ${date.slice(0, 10)}; \`npm run networks\` repeats it.${softwareNote(adapter)} ` +
      `Float error: the largest difference from tfjs or ONNX Runtime on the CPU, by the largest value of that output, on ${samples} samples; in parentheses how far that library's own answer moves with the last bits of its input, where it does. ` +
      `SQNR: of outputs beside our floats, before a softmax; int8 is calibrated on ${calibration} other samples, k-means has a codebook a channel. ` +
      'MiB: of the written file. ms: the median of one sample a run, everybody in turn; `-` where a peer cannot run it.',
  ];
}

function cells({
  network,
  nodes,
  supported,
  floatError,
  movedError,
  fileBytes,
  int8,
  kmeans4,
  times,
}: NetworkRow): string[] {
  const ms = (key: keyof NetworkRow['times']) => {
    const timing = times[key];
    return timing && 'medianMs' in timing ? formatNumber(timing.medianMs) : '-';
  };
  return [
    network,
    thousands(nodes),
    thousands(supported),
    floatError.toExponential(1) + (movedError === undefined ? '' : ` (${movedError.toExponential(1)})`),
    decibels(int8.sqnrDb ?? Number.POSITIVE_INFINITY),
    decibels(kmeans4.sqnrDb ?? Number.POSITIVE_INFINITY),
    mebibytes(fileBytes),
    mebibytes(int8.fileBytes),
    mebibytes(kmeans4.fileBytes),
    ms('float'),
    ms('int8'),
    ms('tfjs-webgpu'),
    ms('ort-webgpu'),
  ];
}
