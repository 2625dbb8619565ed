import { check, LloydError } from '../gpu/errors.ts';
import { checkRuntime, type Runtime } from '../gpu/runtime.ts';
import type { ImageModel } from '../model/graph.ts';
import { type QuantizedModel } from '../model/quantized-model.ts';
import { topOne } from '../run/metrics.ts';
import { quantizeModel } from '../run/precision.ts';
import { compile } from '../run/session.ts';
import { type FinetuneOptions, finetune } from './finetune.ts';
import type { TrainingData } from './train.ts';

/** Options of {@link recoverAccuracy}; what it passes on to `finetune` is among them. */
export interface RecoverOptions extends Omit<FinetuneOptions, 'epochs' | 'steps' | 'onEpoch' | 'resume'> {
  /** Widths, one after another. */
  bits?: readonly number[];
  /** Loss of accuracy that is accepted, as a fraction. */
  threshold?: number;
  /** Epochs at most, for each width. */
  maxEpochs?: number;
  /** Images that accuracy is measured on; not those that are trained on. */
  held: TrainingData;
  onWidth?: (result: RecoveredWidth) => void;
}

/** What became of one width. */
export interface RecoveredWidth {
  bits: number;
  /** Accuracy right after clustering. */
  before: number;
  /** Accuracy after each epoch of fine-tuning; none where `before` was good enough. */
  epochs: number[];
  /** The best of them all, and the model it is of. */
  accuracy: number;
  model: QuantizedModel;
}

/**
 * The lab's procedure (MIT 6.5940, Lab 2): each width is clustered from the float32 network, and fine-tuned only where
 * that costs more accuracy than the threshold, epoch by epoch, until it costs less.
 *
 * @returns the float32 accuracy, and for each width what fine-tuning won back,
 *   or what was reached of it when the signal fired
 * @throws what `quantizeModel` and `finetune` throw; LloydError without held-out images; the signal's reason before the
 *   float32 accuracy is known
 * @example
 * const { widths } = await recoverAccuracy(runtime, model, trainingData, { held: testData, bits: [8, 4, 2] });
 */
export async function recoverAccuracy(
  runtime: Runtime,
  model: ImageModel,
  data: TrainingData,
  options: RecoverOptions,
): Promise<{ float32: number; widths: RecoveredWidth[] }> {
  const { bits = [8, 4, 2], threshold = 0.005, maxEpochs = 5, held, onWidth, ...finetuning } = options;
  checkRuntime(runtime);
  check(held.labels.length > 0, 'accuracy is measured on held-out images', 'none');
  const accuracyOf = async (candidate: ImageModel | QuantizedModel) => {
    const { signal } = options;
    const session = await compile(runtime, candidate, { batch: Math.min(100, held.labels.length), signal });
    try {
      const best = topOne(await session.run(held.images, { signal }), session.classes);
      return best.filter((c, i) => c === held.labels[i]).length / held.labels.length;
    } finally {
      session.destroy();
    }
  };
  const float32 = await accuracyOf(model);
  // A loss of exactly the threshold is accepted, whatever its last bit.
  const enough = (accuracy: number) => float32 - accuracy <= threshold + 1e-9;
  const widths: RecoveredWidth[] = [];
  try {
    for (const width of bits) {
      options.signal?.throwIfAborted();
      const { signal } = options;
      const clustered = await quantizeModel(runtime, model, { method: 'kmeans', bits: width, signal });
      const before = await accuracyOf(clustered);
      const result: RecoveredWidth = { bits: width, before, epochs: [], accuracy: before, model: clustered };
      widths.push(result);
      if (!enough(before)) {
        await finetune(runtime, clustered, data, {
          ...finetuning,
          epochs: maxEpochs,
          async onEpoch(_, current) {
            const tuned = await current();
            const accuracy = await accuracyOf(tuned);
            result.epochs.push(accuracy);
            if (accuracy > result.accuracy) Object.assign(result, { accuracy, model: tuned });
            return enough(accuracy);
          },
        });
      }
      onWidth?.(result);
    }
  } catch (error) {
    // As training does, an interrupted run gives what it reached.
    if (!options.signal?.aborted || error instanceof LloydError) throw error;
  }
  return { float32, widths };
}
