import type { Runtime } from '../gpu/runtime.ts';
import type { ImageModel } from '../model/graph.ts';
import { type QuantizedModel } from '../model/quantized-model.ts';
import { quantizeModel } from '../run/precision.ts';
import { compile } from '../run/session.ts';

/** Seconds that a comparison is given on a software adapter, from the device to the table. */
export const COMPARE_SECONDS = 120;
/** From few images on it is worth having every row; below that the first rows get the time. */
const FEW = 8;
const FEWEST_COMPARED = 4;

/** What fp32 took: to be prepared, and for an image. */
export interface Speed {
  prepareSeconds: number;
  secondsPerImage: number;
}

/** How long a row of so many images takes, at most: clustered or rounded, compiled, run. Measured on SwiftShader. */
export const rowSeconds = ({ prepareSeconds, secondsPerImage }: Speed, images: number) =>
  3 * prepareSeconds + 1.1 * secondsPerImage * images;

/**
 * How many images, and how many to calibrate with, so that a comparison fits its time: every row of at least a few
 * images, else those that come first.
 *
 * @param rows how many there are, and how many of them come first
 */
export function affordableComparison(
  speed: Speed,
  rows: { all: number; first: number },
  batch = 1,
): { images: number; calibration: number } {
  const { prepareSeconds, secondsPerImage } = speed;
  // An observed image takes longer: every activation is reduced.
  const observed = 1.2 * secondsPerImage;
  const calibration = Math.max(4, Math.min(256, Math.floor((COMPARE_SECONDS * 0.1) / observed)));
  const fixed = prepareSeconds + calibration * observed;
  const images = (count: number) =>
    Math.floor(
      (COMPARE_SECONDS - fixed - rowSeconds(speed, 0) * (count - 1)) / (1.1 * secondsPerImage * count),
    );
  const wanted = Math.max(images(rows.all), Math.min(FEW, images(rows.first)), FEWEST_COMPARED);
  // A last partial batch costs a whole one.
  return { images: wanted > batch ? wanted - (wanted % batch) : wanted, calibration };
}

/** Seconds of evaluation that a software adapter is given; a GPU takes the whole test set. */
const BUDGET_SECONDS = 100;
const TEST_IMAGES = 10_000;
/** Fewer say nothing; the smallest count the budget may come to. */
const FEWEST = 8;
/** The probe is part of the wait: on the slowest adapters an image takes a second. */
const PROBE_IMAGES = 2;
/** A first run that takes this long has told enough, the driver's compilation included. */
const SLOW_MS = 3000;

/** Measured images a second of each kind of network. */
export interface Speeds {
  float: number;
  integer: number;
}

/** How fast the adapter runs the model, from one small batch of each kind. */
export async function measureSpeeds(
  runtime: Runtime,
  model: ImageModel,
  images: Uint8Array,
): Promise<Speeds> {
  const { input } = model.graph;
  const probe = images.subarray(0, PROBE_IMAGES * input.height * input.width * input.channels);
  const integer = await quantizeModel(runtime, model, { method: 'linear', bits: 8, calibration: probe });
  return {
    float: await imagesPerSecond(runtime, model, probe),
    integer: await imagesPerSecond(runtime, integer, probe),
  };
}

/** Images a second of one network on a small batch. */
export async function imagesPerSecond(
  runtime: Runtime,
  network: ImageModel | QuantizedModel,
  images: Uint8Array,
): Promise<number> {
  const session = await compile(runtime, network, { batch: PROBE_IMAGES });
  try {
    let milliseconds = Number.POSITIVE_INFINITY;
    for (let turn = 0; turn < 2; turn++) {
      const started = performance.now();
      await session.run(images);
      milliseconds = performance.now() - started;
      if (milliseconds > SLOW_MS) break;
    }
    return (PROBE_IMAGES * 1000) / milliseconds;
  } finally {
    session.destroy();
  }
}

/** How many images fit the budget when each is evaluated by these many networks of each kind. */
export function affordableImages(
  profile: Runtime['adapter']['profile'],
  speeds: Speeds,
  networks: { float: number; integer: number },
  batch: number,
): number {
  if (profile === 'gpu') return TEST_IMAGES;
  const secondsPerImage = networks.float / speeds.float + networks.integer / speeds.integer;
  const count = Math.min(TEST_IMAGES, Math.max(FEWEST, Math.floor(BUDGET_SECONDS / secondsPerImage)));
  // A last partial batch costs a whole one.
  return count > batch ? count - (count % batch) : count;
}

/** Calibration images: a third of the budget at most, since a slow adapter would spend minutes on all of them. */
export function affordableCalibration(
  profile: Runtime['adapter']['profile'],
  speeds: Speeds,
  most = 256,
): number {
  if (profile === 'gpu') return most;
  const count = Math.floor((BUDGET_SECONDS / 3) * speeds.float);
  return Math.min(most, Math.max(32, count - (count % 32)));
}
