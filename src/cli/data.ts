import { join } from 'node:path';
import { CIFAR10_MD5, type Cifar10Batch, type Cifar10Images } from '../io/cifar10.ts';
import { cacheFolder, exists } from '../node/cache.ts';
import { type Cifar10Split, loadCifar10 } from '../node/cifar10.ts';
import { fetchBatches } from '../node/cifar10-sources.ts';
import type { Ledger } from './ledger.ts';

/** The training images that calibrate come from the first batch alone: five files would be 184 MB to read. */
const CALIBRATION_BATCH = 'data_batch_1';

/** Notes the data set's files as inputs, wherever they are looked for: no output may take their place. */
export async function noteDataSet(files: Ledger): Promise<void> {
  const named = process.env.CIFAR10_DIR;
  const inside = (folder: string) => join(folder, 'cifar-10-batches-bin');
  const folders = named ? [named, inside(named)] : [inside(cacheFolder())];
  for (const folder of folders) {
    for (const batch of Object.keys(CIFAR10_MD5)) await files.reads(join(folder, `${batch}.bin`));
  }
}

/** The first images of a split. */
export async function loadSplit(files: Ledger, split: Cifar10Split, limit: number): Promise<Cifar10Images> {
  await noteDataSet(files);
  return loadCifar10(split, { limit });
}

/** Test images and, where `calibration` is not 0, the first so many training images. */
export async function loadImages(
  files: Ledger,
  tests: number,
  calibration: number,
): Promise<{ test: Cifar10Images; calibration: Uint8Array }> {
  await noteDataSet(files);
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
