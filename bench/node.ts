import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { findCommit, findPackageRoot } from '../src/cli/files.ts';
import { createRuntime, type Runtime } from '../src/gpu/runtime.ts';
import type { Tensor } from '../src/gpu/tensor.ts';
import { readSafetensors } from '../src/io/safetensors.ts';
import type { ImageModel } from '../src/model/graph.ts';
import { vgg } from '../src/model/vgg.ts';
import { cacheFolder, exists } from '../src/node/cache.ts';
import { loadCifar10 } from '../src/node/cifar10.ts';
import { nameAdapter } from './name-adapter.ts';
import { seeded } from './random.ts';
import type { BenchContext, Ceilings, Results, Size } from './types.ts';

const IMAGE_BYTES = 32 * 32 * 3;

/** The context of a run in Node: weights of the clone, images of the cache. */
export function nodeContext(runtime: Runtime, size: Size): BenchContext {
  let model: Promise<ImageModel> | undefined;
  return {
    runtime,
    size,
    fresh: () => createRuntime({ adapter: choiceOf(runtime) }),
    model: () => (model ??= loadVgg()),
    images: async (count) => (await benchImages(count)).images,
  };
}

/** What asks for the runtime's adapter again. */
export function choiceOf({
  adapter: { source },
}: Pick<Runtime, 'adapter'>): 'auto' | 'system' | 'swiftshader' {
  return source === 'swiftshader' ? source : source === 'system-software' ? 'system' : 'auto';
}

export async function loadVgg(): Promise<ImageModel> {
  const bytes = await readFile(join(await findPackageRoot(), 'weights', 'vgg-cifar10.safetensors'));
  return vgg({ parameters: readSafetensors(bytes).tensors as ReadonlyMap<string, Tensor> });
}

/** CIFAR-10's test images where they are on this machine already, else seeded pixels: a bench downloads nothing. */
export async function benchImages(
  count: number,
): Promise<{ images: Uint8Array<ArrayBuffer>; source: Results['images'] }> {
  const cached = join(cacheFolder(), 'cifar-10-batches-bin', 'test_batch.bin');
  if (process.env.CIFAR10_DIR || (await exists(cached))) {
    return { images: (await loadCifar10('test', { limit: count })).images, source: 'cifar10-test' };
  }
  return { images: seeded(10).bytes(count * IMAGE_BYTES), source: 'seeded' };
}

/** Everything of a results file but its cases. */
export async function describeRun(
  runtime: Runtime,
  ceilings: Ceilings,
): Promise<Omit<Results, 'cases' | 'refused'>> {
  return {
    ...nameAdapter(runtime),
    commit: (await findCommit()) ?? 'unknown',
    date: new Date().toISOString(),
    platform: `node ${process.version}`,
    images: (await benchImages(1)).source,
    ceilings,
  };
}
