import { readSafetensors, writeSafetensors } from '../../src/io/safetensors.ts';
import type { Tensor } from '../../src/io/tensor.ts';
import { fuseGraph, hasWeights } from '../../src/lower/fuse.ts';
import type { QuantizedModel } from '../../src/model/quantized-model.ts';
import { vgg } from '../../src/model/vgg.ts';
import { writeModelFile } from '../../src/run/file.ts';

/** Files of the smallest VGG: made without a GPU, of codes and scales that any reader must take. */
export function smallFiles(): { fp32: Uint8Array; linear: Uint8Array; kmeans: Uint8Array } {
  const model = vgg({ widthDivisor: 64 });
  const fused = fuseGraph(model).layers;
  const weighted = fused.filter(hasWeights);
  const names = [model.graph.input.name, ...fused.map(({ output }) => output)];
  const linear: QuantizedModel = {
    model,
    method: 'linear',
    bits: 4,
    requantize: 'ort-f32',
    activations: new Map(names.map((name, i) => [name, { scale: 0.03 + i / 100, zeroPoint: i - 3 }])),
    layers: new Map(
      weighted.map(({ name, weight, outputShape: { channels } }) => [
        name,
        {
          method: 'linear',
          bits: 4,
          codes: Int8Array.from(weight, (_, i) => (i % 15) - 7),
          scale: new Float32Array(channels).fill(0.01),
        },
      ]),
    ),
  };
  const kmeans: QuantizedModel = {
    ...linear,
    method: 'kmeans',
    bits: 2,
    activations: new Map(),
    layers: new Map(
      weighted.map(({ name, weight }) => [
        name,
        {
          method: 'kmeans',
          bits: 2,
          codes: Uint8Array.from(weight, (_, i) => i % 4),
          codebook: Float32Array.of(-1, -0.25, 0.25, 1),
        },
      ]),
    ),
  };
  return { fp32: writeModelFile(model), linear: writeModelFile(linear), kmeans: writeModelFile(kmeans) };
}

/** A safetensors file whose tensors and metadata were edited, sound as such. */
export function edited(
  bytes: Uint8Array,
  edit: (tensors: Map<string, Tensor>, metadata: Record<string, string>) => unknown,
): Uint8Array {
  const { tensors, metadata } = readSafetensors(bytes);
  const copies = new Map(
    [...tensors].map(([name, { dtype, dims, data }]) => [name, { dtype, dims, data: data.slice() }]),
  );
  edit(copies as Map<string, Tensor>, metadata);
  return writeSafetensors(copies as Map<string, Tensor>, metadata);
}
