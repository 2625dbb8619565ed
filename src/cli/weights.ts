import { stat } from 'node:fs/promises';
import { basename, dirname, extname, join, relative } from 'node:path';
import { check, LloydError } from '../gpu/errors.ts';
import { readPth } from '../io/pth.ts';
import { type ImageModel, imageModel, type Model } from '../model/graph.ts';
import { isQuantized, type QuantizedModel } from '../model/quantized-model.ts';
import { vgg } from '../model/vgg.ts';
import { type ExternalReader, readOnnx } from '../onnx/read-onnx.ts';
import { type CompareRowName, compareRowNames } from '../run/compare.ts';
import { readModelFile } from '../run/file.ts';
import { findPackageRoot, sha256 } from './files.ts';
import type { Ledger } from './ledger.ts';

/** A network out of a file, and which file that was. */
export interface LoadedModel<Network = ImageModel | QuantizedModel> {
  network: Network;
  path: string;
  sha256: string;
  /** What the file takes, with the files beside it that hold its tensors. */
  fileBytes: number;
}

/**
 * Any network: ONNX (with the files of its tensors beside it), safetensors, fp32 or quantized, or a VGG of PyTorch.
 *
 * @param constants what inputs of an ONNX network are in every run
 */
export async function loadNetwork(
  files: Ledger,
  path: string,
  constants: Readonly<Record<string, number>> = {},
): Promise<LoadedModel<Model | QuantizedModel>> {
  const bytes = await files.read(path);
  let fileBytes = bytes.byteLength;
  const external = async (location: string) => {
    const own = await files.read(join(dirname(path), location));
    fileBytes += own.byteLength;
    return own;
  };
  const network = await located(path, () => readNetwork(path, bytes, { externalData: external, constants }));
  return { network, path, sha256: sha256(bytes), fileBytes };
}

/** Reads a network of images as `vgg` makes them: safetensors (fp32 or quantized), or a PyTorch state dict. */
export async function loadModel(files: Ledger, path: string): Promise<LoadedModel> {
  const loaded = await loadNetwork(files, path);
  const { network } = loaded;
  await located(path, () => imageModel(isQuantized(network) ? network.model : network, 'this command'));
  return { ...loaded, network: network as ImageModel | QuantizedModel };
}

/** A zip or a pickle, whatever the file is called; a damaged file of PyTorch's extensions is told as one too. */
function isPytorch(path: string, bytes: Uint8Array): boolean {
  const isZip = bytes[0] === 0x50 && bytes[1] === 0x4b && bytes[2] === 3 && bytes[3] === 4;
  // PROTO, then LONG1: the magic number that the older format begins with.
  const isPickle = bytes[0] === 0x80 && bytes[2] === 0x8a;
  return isZip || isPickle || ['.pth', '.pt'].includes(extname(path).toLowerCase());
}

/** ONNX's extension, or what its files begin with: the version of the format. */
function isOnnx(path: string, bytes: Uint8Array): boolean {
  const extension = extname(path).toLowerCase();
  // A safetensors file has the first letter of its header there.
  return extension === '.onnx' || (extension !== '.safetensors' && bytes[0] === 8 && bytes[8] !== 0x7b);
}

async function readNetwork(
  path: string,
  bytes: Uint8Array,
  options: { externalData: ExternalReader; constants: Readonly<Record<string, number>> },
): Promise<Model | QuantizedModel> {
  const isPth = isPytorch(path, bytes);
  if (!isPth && isOnnx(path, bytes)) return readOnnx(bytes, options);
  const [constant] = Object.keys(options.constants);
  check(constant === undefined, '--constant is of an ONNX network', constant, 'leave it out');
  return isPth ? vgg({ parameters: readPth(bytes) }) : readModelFile(bytes);
}

/** What `work` refuses, with the file that it is about. */
async function located<T>(path: string, work: () => T | Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof LloydError)) throw error;
    throw new LloydError(`${path}: ${error.rule}`, error.received, error.cure ?? 'check which file it is');
  }
}

/** The fp32 network that `--weights` names, or the clone's own. */
export async function loadFloatModel(
  files: Ledger,
  given: string | undefined,
): Promise<LoadedModel & { network: ImageModel }> {
  const loaded = await loadModel(files, given ?? (await ownWeights()));
  if (isQuantized(loaded.network)) {
    throw new LloydError(
      'the weights must be those of an fp32 network',
      loaded.path,
      'pass the file it was quantized from',
    );
  }
  return { ...loaded, network: loaded.network };
}

/** The rows that were fine-tuned: `<weights>-kmeans4-qat.safetensors` and its kin beside the weights. */
export async function loadTrainedRows(
  files: Ledger,
  weights: string,
): Promise<Partial<Record<CompareRowName, QuantizedModel>>> {
  const stem = join(dirname(weights), basename(weights, extname(weights)));
  const rows: Partial<Record<CompareRowName, QuantizedModel>> = {};
  for (const name of compareRowNames) {
    const [method, bits, qat] = name.split('-');
    if (!qat) continue;
    const path = `${stem}-${method}${bits}-qat.safetensors`;
    if (!(await isFile(path))) continue;
    const { network } = await loadModel(files, path);
    if (isQuantized(network)) rows[name] = network;
  }
  return rows;
}

/** A path as a report may show it: from the package's root where it lies inside, else its name alone. */
export async function portablePath(path: string): Promise<string> {
  const inside = relative(await findPackageRoot(), path);
  return inside.startsWith('..') ? basename(path) : inside.replaceAll('\\', '/');
}

/** The clone's weights, from the package's root. */
export const OWN_WEIGHTS = 'weights/vgg-cifar10.safetensors';

async function ownWeights(): Promise<string> {
  const path = join(await findPackageRoot(), OWN_WEIGHTS);
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
