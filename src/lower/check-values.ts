import { check, LloydError } from '../gpu/errors.ts';
import { type ImageModel, type ImageNode, isImageModel, type Model } from '../model/graph.ts';
import { parameter } from '../model/parameters.ts';
import type { QuantizedModel } from '../model/quantized-model.ts';
import type { FusedGraph } from './fuse.ts';

const FIELDS: Partial<Record<ImageNode['op'], readonly string[]>> = {
  conv2d: ['weight', 'bias'],
  linear: ['weight', 'bias'],
  batchNorm: ['weight', 'bias', 'running_mean', 'running_var'],
};

/**
 * Refuses parameters with which no network computes: a NaN or an infinity, a negative variance, a batch norm that
 * overflows. Clamps turn their results into plausible logits. Weights that codes stand for are not looked at, the codes'
 * scales and centroids are.
 *
 * @param fused the network's layers
 * @param layers what a quantized network has instead of weights
 * @throws LloydError naming the parameter and the place in it.
 */
export function checkValues(
  network: Model,
  fused: FusedGraph,
  layers: QuantizedModel['layers'] = new Map(),
): void {
  if (isImageModel(network)) checkImageValues(network, layers);
  checkFolded(fused, layers);
  checkLayers(layers);
}

function checkImageValues(network: ImageModel, layers: QuantizedModel['layers']): void {
  for (const { op, name, ...node } of network.graph.nodes) {
    for (const field of FIELDS[op] ?? []) {
      if (field === 'weight' && layers.has(name)) continue;
      const data = parameter(network, `${name}.${field}`);
      if (data) checkFinite(`${name}.${field}`, data);
    }
    const variance = op === 'batchNorm' && parameter(network, `${name}.running_var`);
    if (!variance) continue;
    const { epsilon = 1e-5 } = node as { epsilon?: number };
    const bad = variance.findIndex((value) => value < 0 || !(value + epsilon > 0));
    check(
      bad < 0,
      `${name}.running_var: a variance must not be negative, nor zero without an epsilon`,
      `${variance[bad]} at index ${bad}, epsilon ${epsilon}`,
      'load the statistics again',
    );
  }
}

function checkFolded({ layers }: FusedGraph, coded: QuantizedModel['layers']): void {
  for (const layer of layers) {
    if (layer.kind !== 'conv2d') continue;
    if (!coded.has(layer.name)) checkFinite(`${layer.name}.weight`, layer.weight);
    const folded = `${layer.name}: with its batch norm folded in, its`;
    checkFinite(`${folded} scale`, layer.scale);
    checkFinite(`${folded} bias`, layer.shift);
  }
}

function checkLayers(layers: QuantizedModel['layers']): void {
  for (const [name, layer] of layers) {
    if (layer.method === 'kmeans') {
      checkFinite(`${name}: codebook`, layer.codebook);
      continue;
    }
    checkFinite(`${name}: scale`, layer.scale);
    const bad = layer.scale.findIndex((scale) => !(scale > 0));
    check(bad < 0, `${name}: scale must be positive`, `${layer.scale[bad]} at index ${bad}`);
  }
}

function checkFinite(name: string, values: Float32Array): void {
  // A product with 0 is 0 for every finite number and NaN for the rest.
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += values[i] * 0;
  if (sum === 0) return;
  const index = values.findIndex((value) => !Number.isFinite(value));
  throw new LloydError(
    `${name} must be finite`,
    `${values[index]} at index ${index}`,
    'load it again, or train with a lower learning rate',
  );
}
