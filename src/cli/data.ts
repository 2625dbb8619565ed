import { join } from 'node:path';
import type { Cifar10Batch, Cifar10Images } from '../io/cifar10.ts';
import { cacheFolder, exists } from '../node/cache.ts';
import { loadCifar10 } from '../node/cifar10.ts';
import { fetchBatches } from '../node/cifar10-sources.ts';

/** The training images that calibrate come from the first batch alone: five files would be 184 MB to read. */
const CALIBRATION_BATCH = 'data_batch_1';

/** Test images and, where `calibration` is not 0, the first so many training images. */
export async function loadImages(
  tests: number,
  calibration: number,
): Promise<{ test: Cifar10Images; calibration: Uint8Array }> {
  if (!process.env.CIFAR10_DIR && calibration > 0) {
    // In one go: each source is one archive of everything, which would be fetched twice.
    const folder = join(cacheFolder(), 'cifar-10-batches-bin');
    const missing: Cifar10Batch[] = [];
    for (const batch of [CALIBRATION_BATCH, 'test_batch'] as const) {
      if (!(await exists(join(folder, `${batch}.bin`)))) missing.push(batch);
    }
    if (missing.length > 1) await fetchBatches(folder, missing);
  }
  const test = await loadCifar10('test', { limit: tests });
  if (calibration === 0) return { test, calibration: new Uint8Array(0) };
  return { test, calibration: (await loadCifar10('train', { limit: calibration })).images };
}
