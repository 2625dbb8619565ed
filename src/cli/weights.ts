import { stat } from 'node:fs/promises';
import { basename, dirname, extname, join, relative } from 'node:path';
import { LloydError } from '../gpu/errors.ts';
import type { Tensor } from '../gpu/tensor.ts';
import { readPth } from '../io/pth.ts';
import { type CompareRowName, compareRowNames } from '../model/compare.ts';
import { readModelFile } from '../model/file.ts';
import type { Model } from '../model/graph.ts';
import { isQuantized, type QuantizedModel } from '../model/precision.ts';
import { vgg } from '../model/vgg.ts';
import { findPackageRoot, readInput, sha256 } from './files.ts';

/** A network out of a file, and which file that was. */
export interface LoadedModel {
  network: Model | QuantizedModel;
  path: string;
  sha256: string;
  fileBytes: number;
}

/** Reads a network: safetensors (fp32 or quantized), or a PyTorch state dict by its extension. */
export async function loadModel(path: string): Promise<LoadedModel> {
  const bytes = await readInput(path);
  const isPth = ['.pth', '.pt', '.bin'].includes(extname(path).toLowerCase());
  return {
    network: readNetwork(path, bytes, isPth),
    path,
    sha256: sha256(bytes),
    fileBytes: bytes.byteLength,
  };
}

function readNetwork(path: string, bytes: Uint8Array, isPth: boolean): Model | QuantizedModel {
  try {
    if (!isPth) return readModelFile(bytes);
    return vgg({ parameters: readPth(bytes) as ReadonlyMap<string, Tensor> });
  } catch (error) {
    if (!(error instanceof LloydError)) throw error;
    throw new LloydError(`${path}: ${error.rule}`, error.received, error.cure ?? 'check which file it is');
  }
}

/** The fp32 network that `--weights` names, or the clone's own. */
export async function loadFloatModel(given: string | undefined): Promise<LoadedModel & { network: Model }> {
  const path = given ?? (await ownWeights());
  const loaded = await loadModel(path);
  if (isQuantized(loaded.network)) {
    throw new LloydError(
      'the weights must be those of an fp32 network',
      path,
      'pass the file it was quantized from',
    );
  }
  return { ...loaded, network: loaded.network };
}

/** The rows that were fine-tuned: `<weights>-kmeans4-qat.safetensors` and its kin beside the weights. */
export async function loadTrainedRows(
  weights: string,
): Promise<Partial<Record<CompareRowName, QuantizedModel>>> {
  const stem = join(dirname(weights), basename(weights, extname(weights)));
  const rows: Partial<Record<CompareRowName, QuantizedModel>> = {};
  for (const name of compareRowNames) {
    const [method, bits, qat] = name.split('-');
    if (!qat) continue;
    const path = `${stem}-${method}${bits}-qat.safetensors`;
    if (!(await isFile(path))) continue;
    const { network } = await loadModel(path);
    if (isQuantized(network)) rows[name] = network;
  }
  return rows;
}

/** A path as a report may show it: from the package's root where it lies inside, else its name alone. */
export async function portablePath(path: string): Promise<string> {
  const inside = relative(await findPackageRoot(), path);
  return inside.startsWith('..') ? basename(path) : inside.replaceAll('\\', '/');
}

async function ownWeights(): Promise<string> {
  const path = join(await findPackageRoot(), 'weights', 'vgg-cifar10.safetensors');
  if (await isFile(path)) return path;
  throw new LloydError(
    'the weights come with the clone, not with the package',
    'no weights/vgg-cifar10.safetensors',
    'run it in a clone, or pass --weights FILE (.safetensors, or a PyTorch .pth)',
  );
}

async function isFile(path: string): Promise<boolean> {
  return (await stat(path).catch(() => null))?.isFile() ?? false;
}
