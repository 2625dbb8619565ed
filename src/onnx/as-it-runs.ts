import { LloydError } from '../gpu/errors.ts';
import { importQdq } from '../lower/import-qdq.ts';
import { isImageModel, type Model } from '../model/graph.ts';
import { isQuantized, type QuantizedModel } from '../model/quantized-model.ts';
import { qdqOfOperators } from './qoperator-import.ts';

/**
 * A network as it runs here: what lies between an ONNX file's quantizers, and operators on codes that have such a form,
 * in integers.
 */
export function asItRuns(network: Model | QuantizedModel): Model | QuantizedModel {
  if (isQuantized(network) || isImageModel(network)) return network;
  try {
    return importQdq(qdqOfOperators(network));
  } catch (error) {
    // Others run one by one.
    if (error instanceof LloydError) return network;
    throw error;
  }
}
