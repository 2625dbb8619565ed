/** Options of one step. */
export interface SgdOptions {
  rate: number;
  momentum: number;
  weightDecay: number;
  nesterov: boolean;
}

/**
 * The CPU twin of `shaders/sgd-step.wgsl`, in float64: new weights and velocity.
 *
 * @example
 * sgdStep([1], [0.5], [0], { rate: 0.1, momentum: 0.9, weightDecay: 0, nesterov: false }); // weights 0.95
 */
export function sgdStep(
  weights: ArrayLike<number>,
  gradient: ArrayLike<number>,
  velocity: ArrayLike<number>,
  { rate, momentum, weightDecay, nesterov }: SgdOptions,
): { weights: Float64Array; velocity: Float64Array } {
  const direction = Float64Array.from(gradient, (g, i) => g + weightDecay * weights[i]);
  const moved = direction.map((g, i) => momentum * velocity[i] + g);
  return {
    weights: Float64Array.from(
      weights,
      (w, i) => w - rate * (nesterov ? direction[i] + momentum * moved[i] : moved[i]),
    ),
    velocity: moved,
  };
}
