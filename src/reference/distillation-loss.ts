/**
 * The CPU twin of `shaders/distillation-loss.wgsl`, in float64: logits and the teacher's are batch x classes.
 *
 * @returns losses and the mean loss's gradient by the logits, of which the kernel takes `share`
 * @example
 * distillationLoss([0, 0], [0, 0], 1, 2); // as the teacher has it: loss 0, gradient 0 0
 */
export function distillationLoss(
  logits: ArrayLike<number>,
  teacher: ArrayLike<number>,
  batch: number,
  temperature: number,
): { losses: Float64Array; gradient: Float64Array } {
  const classes = logits.length / batch;
  const losses = new Float64Array(batch);
  const gradient = new Float64Array(logits.length);
  for (let n = 0; n < batch; n++) {
    const logP = logSoftmax(logits, n, classes, temperature);
    const logQ = logSoftmax(teacher, n, classes, temperature);
    for (let c = 0; c < classes; c++) {
      const [p, q] = [Math.exp(logP[c]), Math.exp(logQ[c])];
      losses[n] += temperature ** 2 * q * (logQ[c] - logP[c]);
      gradient[n * classes + c] = (temperature * (p - q)) / batch;
    }
  }
  return { losses, gradient };
}

function logSoftmax(values: ArrayLike<number>, row: number, classes: number, temperature: number): number[] {
  const scaled = Array.from({ length: classes }, (_, c) => values[row * classes + c] / temperature);
  const largest = Math.max(...scaled);
  const logTotal = Math.log(scaled.reduce((sum, x) => sum + Math.exp(x - largest), 0)) + largest;
  return scaled.map((x) => x - logTotal);
}
