import { check, LloydError } from '../gpu/errors.ts';
import type { Tensor } from '../gpu/tensor.ts';
import { packCodes, readCodebookFile, unpackCodes, writeCodebookFile } from '../io/codebook-file.ts';
import { readSafetensors, writeSafetensors } from '../io/safetensors.ts';
import { elementCount, type Tensor as FileTensor, toFloat32 } from '../io/tensor.ts';
import { checkRule } from '../quantize/requantize.ts';
import { checkNetwork } from './check-network.ts';
import { fuseGraph, hasWeights } from './fuse.ts';
import type { Model } from './graph.ts';
import { decodeCodebook } from './layer-codes.ts';
import { type CodebookLayer, isQuantized, type LinearLayer, type QuantizedModel } from './precision.ts';
import { vgg } from './vgg.ts';

const LINEAR_FORMAT = 'lloyd-linear';

/**
 * A model as a safetensors file that any reader opens: fp32 parameters as they are, codes packed to their width
 * beside their codebook (`<name>.codes`, `<name>.codebook`) or scales (`<name>.codes`, `<name>.scale`).
 *
 * @throws LloydError for a mixed model that no format holds, or parameters that are not what the graph says.
 * @example
 * await writeFile('vgg-int4.safetensors', writeModelFile(quantized));
 */
export function writeModelFile(
  model: Model | QuantizedModel,
  metadata: Record<string, string> = {},
): Uint8Array {
  checkNetwork(model);
  if (!isQuantized(model)) {
    return writeSafetensors(new Map([...model.parameters].map(([n, t]) => [n, floatTensor(t)])), metadata);
  }
  const coded = new Set([...model.layers.keys()].map((name) => `${name}.weight`));
  const parameters = new Map(
    [...model.model.parameters].filter(([name]) => !coded.has(name)).map(([n, t]) => [n, floatTensor(t)]),
  );
  const dims = (name: string) => [...model.model.parameters.get(`${name}.weight`)!.dims];
  if (model.method === 'kmeans') {
    const tensors = new Map(
      [...model.layers].map(([name, layer]) => {
        check(layer.method === 'kmeans', 'a k-means model holds codebook layers only', layer.method);
        const { method: _, ...coded } = layer;
        return [`${name}.weight`, { dims: dims(name), ...coded }];
      }),
    );
    return writeCodebookFile({ tensors, parameters, metadata });
  }
  const tensors: Map<string, FileTensor> = new Map(parameters);
  const shapes: Record<string, { dims: number[]; bits: number }> = {};
  for (const [name, layer] of model.layers) {
    check(layer.method === 'linear', 'a linear model holds linear layers only', layer.method);
    const { bits, codes, scale } = layer;
    const packed = packCodes(
      Uint8Array.from(codes, (c) => c & (2 ** bits - 1)),
      bits,
    );
    tensors.set(`${name}.weight.codes`, { dtype: 'uint8', dims: [packed.length], data: packed });
    tensors.set(`${name}.weight.scale`, { dtype: 'float32', dims: [scale.length], data: scale });
    shapes[name] = { dims: dims(name), bits };
  }
  return writeSafetensors(tensors, {
    ...metadata,
    format: LINEAR_FORMAT,
    version: '1',
    bits: String(model.bits),
    requantize: model.requantize,
    layers: JSON.stringify(shapes),
    activations: JSON.stringify(Object.fromEntries(model.activations)),
  });
}

/** Bytes of {@link writeModelFile}'s result. */
export function modelFileBytes(model: Model | QuantizedModel): number {
  return writeModelFile(model).byteLength;
}

/**
 * Reads what {@link writeModelFile} wrote, or any state dict in safetensors.
 *
 * @param build makes the network from its parameters; by default the VGG of the width the file has.
 * @throws LloydError for a damaged file, a missing parameter or another format.
 * @example
 * const model = readModelFile(await readFile('vgg-int4.safetensors'));
 */
export function readModelFile(
  bytes: Uint8Array,
  build: (parameters: ReadonlyMap<string, Tensor>) => Model = (parameters) => vgg({ parameters }),
): Model | QuantizedModel {
  const { tensors, metadata } = readSafetensors(bytes);
  if (metadata.format === LINEAR_FORMAT) return readLinear(tensors, metadata, build);
  if (![...tensors.keys()].some((name) => name.endsWith('.codebook')))
    return build(tensors as Map<string, Tensor>);
  const file = readCodebookFile(bytes);
  const parameters = new Map(file.parameters as Map<string, Tensor>);
  const layers = new Map<string, CodebookLayer>();
  for (const [name, { dims, ...coded }] of file.tensors) {
    const layer: CodebookLayer = { method: 'kmeans', ...coded };
    parameters.set(name, { dtype: 'float32', dims, data: decodeCodebook(layer) });
    layers.set(name.replace(/\.weight$/, ''), layer);
  }
  const bits = Math.max(...[...layers.values()].map((layer) => layer.bits));
  return {
    model: build(parameters),
    method: 'kmeans',
    bits,
    layers,
    activations: new Map(),
    requantize: 'ort-f32',
  };
}

function readLinear(
  tensors: ReadonlyMap<string, FileTensor>,
  metadata: Record<string, string>,
  build: (parameters: ReadonlyMap<string, Tensor>) => Model,
): QuantizedModel {
  const shapes = parseJson<Record<string, { dims: number[]; bits: number }>>(metadata, 'layers');
  const activations = parseJson<Record<string, { scale: number; zeroPoint: number }>>(
    metadata,
    'activations',
  );
  const parameters = new Map<string, Tensor>();
  const layers = new Map<string, LinearLayer>();
  for (const [name, tensor] of tensors) {
    if (!/\.weight\.(codes|scale)$/.test(name)) parameters.set(name, tensor as Tensor);
  }
  for (const [name, { dims, bits }] of Object.entries(shapes)) {
    const packed = tensors.get(`${name}.weight.codes`);
    const scale = tensors.get(`${name}.weight.scale`);
    check(
      packed && scale,
      `${name}: a linear layer has codes and scales`,
      'a file without them',
      'write it again',
    );
    const unsigned = unpackCodes(packed.data as Uint8Array, bits, elementCount(dims));
    const codes = Int8Array.from(unsigned, (c) => (c << (32 - bits)) >> (32 - bits));
    layers.set(name, { method: 'linear', bits, codes, scale: toFloat32(scale) });
    parameters.set(`${name}.weight`, { dtype: 'float32', dims, data: new Float32Array(codes.length) });
  }
  const model = build(parameters);
  unfold(model, layers);
  const { requantize = 'ort-f32' } = metadata;
  checkRule(requantize);
  return {
    model,
    method: 'linear',
    bits: Number(metadata.bits),
    layers,
    activations: new Map(Object.entries(activations)),
    requantize,
  };
}

/** Divides the folded batch norm out again, so that the model's float weights are those the codes stand for. */
function unfold(model: Model, layers: ReadonlyMap<string, LinearLayer>): void {
  for (const layer of fuseGraph(model).filter(hasWeights)) {
    const { codes, scale } = layers.get(layer.name)!;
    const data = model.parameters.get(`${layer.name}.weight`)!.data as Float32Array;
    const row = codes.length / scale.length;
    for (let i = 0; i < codes.length; i++) {
      const o = Math.floor(i / row);
      data[i] = (codes[i] * scale[o]) / (layer.scale[o] || 1);
    }
  }
}

function floatTensor(tensor: Tensor): FileTensor {
  if (tensor.dtype === 'float32') return tensor as FileTensor;
  return { dtype: 'float32', dims: [...tensor.dims], data: toFloat32(tensor as FileTensor) };
}

function parseJson<T>(metadata: Record<string, string>, key: string): T {
  try {
    return JSON.parse(metadata[key]) as T;
  } catch (cause) {
    throw new LloydError(
      `a ${LINEAR_FORMAT} file's metadata holds ${key} as JSON`,
      metadata[key],
      'write it again',
      { cause },
    );
  }
}
