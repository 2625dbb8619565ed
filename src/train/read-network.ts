import { untileWeights } from '../conv/weight-layout.ts';
import type { Runtime } from '../gpu/runtime.ts';
import type { Tensor } from '../gpu/tensor.ts';
import type { ImageModel } from '../model/graph.ts';
import type { ActivationQparams, CodebookLayer, LinearLayer } from '../model/quantized-model.ts';
import { roundHalfToEven } from '../reference/round.ts';
import { type AffineLayer, biasBeforeNorm, isAffine, normOf } from './layers.ts';
import type { TrainingNetwork } from './network.ts';

type QuantizedLayers = ReadonlyMap<string, CodebookLayer | LinearLayer>;

/** The parameters now, weights as the convolutions read them. */
export async function readModel(
  runtime: Runtime,
  network: TrainingNetwork,
  model: ImageModel,
): Promise<ImageModel> {
  const parameters = new Map(model.parameters);
  const put = (name: string, data: Float32Array, dims: readonly number[]) =>
    parameters.set(name, { dtype: 'float32', dims, data } as Tensor);
  // Decoded or rounded weights are what the last forward pass read: bring them up to the last step.
  for (const { prepare } of network.weights.values()) if (prepare.length) runtime.submit(prepare);
  for (const layer of network.layers) {
    if (!isAffine(layer)) continue;
    const { name } = layer;
    const { channels } = layer.shape;
    const norm = normOf(layer);
    if (layer.kind === 'conv') {
      const tiled = await floatsOf(runtime, network.weights.get(name)!.effective);
      const dims = model.parameters.get(`${name}.weight`)!.dims;
      put(`${name}.weight`, untileWeights(tiled, network.layouts.get(name)!), dims);
    }
    const [gamma, beta] = await rowsOf(runtime, network.state.get(`${norm ?? name}.affine`)!, layer);
    if (!norm) {
      put(`${name}.bias`, beta, [channels]);
      continue;
    }
    put(`${norm}.weight`, gamma, [channels]);
    put(`${norm}.bias`, beta, [channels]);
    const running = network.state.get(`${norm}.running`);
    if (!running) continue;
    const [mean, variance] = await rowsOf(runtime, running, layer);
    const bias = biasBeforeNorm(model, layer);
    put(`${norm}.running_mean`, bias ? mean.map((value, c) => value + bias[c]) : mean, [channels]);
    put(`${norm}.running_var`, variance, [channels]);
  }
  return { graph: model.graph, parameters };
}

/** The quantized layers now. */
export async function readQuantized(
  runtime: Runtime,
  network: TrainingNetwork,
  started: QuantizedLayers = new Map(),
): Promise<Map<string, CodebookLayer | LinearLayer>> {
  const layers = new Map<string, CodebookLayer | LinearLayer>();
  for (const [name, start] of started) {
    if (start.method === 'kmeans') {
      const codebook = await floatsOf(runtime, network.state.get(`${name}.codebook`)!);
      layers.set(name, { ...start, codes: network.weights.get(name)!.codes!().slice(), codebook });
      continue;
    }
    const pairs = await floatsOf(runtime, network.state.get(`${name}.qparams`)!);
    const scale = start.scale.map((_, o) => pairs[o * 2]);
    const tiled = await floatsOf(runtime, network.state.get(`${name}.weight`)!);
    const weight = untileWeights(tiled, network.layouts.get(name)!);
    const row = weight.length / scale.length;
    const limit = 2 ** (start.bits - 1);
    const codes = Int8Array.from(weight, (w, i) => {
      const code = roundHalfToEven(Math.fround(w / scale[Math.floor(i / row)]));
      return Math.min(limit - 1, Math.max(-limit, code));
    });
    layers.set(name, { ...start, codes, scale });
  }
  return layers;
}

/** The activations' grids now; those that nothing observes are as they were. */
export async function readActivations(
  runtime: Runtime,
  network: TrainingNetwork,
  started: ReadonlyMap<string, ActivationQparams> = new Map(),
): Promise<Map<string, ActivationQparams>> {
  const activations = new Map(started);
  const grids = new Map<string, ActivationQparams>();
  for (const layer of network.layers) {
    if (!('output' in layer)) {
      const grid = grids.get(layer.inputs[0]);
      if (!grid) continue;
      grids.set(layer.tensor, grid);
      if (activations.has(layer.tensor)) activations.set(layer.tensor, grid);
      continue;
    }
    const observed = network.observed.get(layer.output);
    if (!observed) continue;
    const [scale, zeroPoint] = await floatsOf(runtime, observed);
    grids.set(layer.tensor, { scale, zeroPoint });
    activations.set(layer.output, { scale, zeroPoint });
  }
  return activations;
}

async function floatsOf(runtime: Runtime, buffer: GPUBuffer): Promise<Float32Array> {
  return new Float32Array(await runtime.read(buffer));
}

/** A buffer's two rows of channels, without their padding. */
async function rowsOf(runtime: Runtime, buffer: GPUBuffer, { shape }: AffineLayer) {
  const both = await floatsOf(runtime, buffer);
  const second = both.length / 2;
  return [both.slice(0, shape.channels), both.slice(second, second + shape.channels)];
}
