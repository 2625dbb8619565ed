/** Loss and correctness of each row, and the mean loss's gradient by the logits. */
export interface CrossEntropy {
  losses: Float64Array;
  correct: Uint8Array;
  gradient: Float64Array;
}

/**
 * The CPU twin of `shaders/softmax-cross-entropy.wgsl`, in float64: logits are batch x classes.
 *
 * @example
 * softmaxCrossEntropy([0, 0], [1], 0); // loss ln 2, gradient 0.5 -0.5
 */
export function softmaxCrossEntropy(
  logits: ArrayLike<number>,
  labels: ArrayLike<number>,
  smoothing: number,
): CrossEntropy {
  const batch = labels.length;
  const classes = logits.length / batch;
  const losses = new Float64Array(batch);
  const correct = new Uint8Array(batch);
  const gradient = new Float64Array(logits.length);
  for (let n = 0; n < batch; n++) {
    const row = Array.from({ length: classes }, (_, c) => logits[n * classes + c]);
    const largest = Math.max(...row);
    const logTotal = Math.log(row.reduce((sum, x) => sum + Math.exp(x - largest), 0)) + largest;
    correct[n] = row.indexOf(largest) === labels[n] ? 1 : 0;
    for (const [c, x] of row.entries()) {
      const target = smoothing / classes + (c === labels[n] ? 1 - smoothing : 0);
      losses[n] -= target * (x - logTotal);
      gradient[n * classes + c] = (Math.exp(x - logTotal) - target) / batch;
    }
  }
  return { losses, correct, gradient };
}
