import type { RequantizeRule } from '../conv/requantize.ts';
import type { Model } from './graph.ts';

/** A layer's weights as codes into its codebooks: OIHW order, one code an element. */
export interface CodebookLayer {
  method: 'kmeans';
  bits: number;
  codes: Uint8Array;
  /** groups x clusters. */
  codebook: Float32Array;
  /** How many codebooks there are; one unless given. */
  groups?: number;
  /** The codebook of element i is `floor(i / groupStride) mod groups`. */
  groupStride?: number;
}

/** A layer's batch-norm-folded weights as symmetric integers, one scale an output channel. */
export interface LinearLayer {
  method: 'linear';
  bits: number;
  codes: Int8Array;
  scale: Float32Array;
}

/** Scale and zero point of an activation tensor: real = scale * (code - zeroPoint), int8. */
export interface ActivationQparams {
  scale: number;
  zeroPoint: number;
}

/** A model and a precision for each of its layers; layers without an entry stay fp32. */
export interface QuantizedModel<M extends Model = Model> {
  model: M;
  method: 'kmeans' | 'linear';
  bits: number;
  layers: ReadonlyMap<string, CodebookLayer | LinearLayer>;
  /** Every activation's qparams, by tensor name; `linear` only. */
  activations: ReadonlyMap<string, ActivationQparams>;
  requantize: RequantizeRule;
}

/**
 * True for the result of {@link quantizeModel}.
 *
 * @example
 * console.log(isQuantized(model) ? `${model.bits} bits` : 'fp32');
 */
export function isQuantized(model: Model | QuantizedModel): model is QuantizedModel {
  return 'layers' in model;
}
