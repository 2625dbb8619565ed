import type { Runtime } from '../gpu/runtime.ts';
import type { Model } from './graph.ts';
import type { LoweredModel, LowerOptions } from './lower.ts';
import { lowerFloat } from './lower-float.ts';
import { lowerInt8 } from './lower-int8.ts';
import { type CodebookLayer, isQuantized, type QuantizedModel } from './precision.ts';

/** Lowers a model by its precision: integers where it is quantized linearly, else floats, with codebooks or plain. */
export async function lowerModel(
  runtime: Runtime,
  model: Model | QuantizedModel,
  batch: number,
  options: LowerOptions = {},
): Promise<LoweredModel> {
  if (!isQuantized(model)) return lowerFloat(runtime, model, new Map(), batch, options);
  if (model.method === 'linear') return lowerInt8(runtime, model, batch, options);
  const codebooks = model.layers as ReadonlyMap<string, CodebookLayer>;
  return lowerFloat(runtime, model.model, codebooks, batch, options);
}
