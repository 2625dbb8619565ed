import { createTrainer, type StepPlan } from '../../src/train/trainer.ts';
import type { BenchCase, BenchContext, Opened, Size, Subject } from '../types.ts';
import { macsPerImage } from './vgg.ts';

const BATCHES: Partial<Record<Size, number>> = { standard: 32, gpu: 1000 };
const CLASSES = 10;
/** What a step of anybody's takes: SGD with momentum over the batch's mean loss, nothing augmented or smoothed. */
export const STEP = { rate: 1e-3, momentum: 0.9 };

/** A step of training the VGG in float32: forward, loss, backward and update, the loss read back. */
export function trainingStepCases(size: Size): BenchCase[] {
  // A whole network backwards takes minutes to compile where a CPU plays the GPU: it is no part of a short set.
  const batch = BATCHES[size];
  if (batch === undefined) return [];
  const subject: Subject = {
    implementation: 'lloyd',
    precision: 'fp32',
    batch,
    open: (context) => openStep(context, batch),
  };
  return [{ name: 'vgg-training-step', subjects: [subject], peers: { kind: 'training-step', batch } }];
}

/** The images of a step and their made-up labels: the network is wrong about most, so that it has much to learn. */
export async function stepData(
  context: BenchContext,
  batch: number,
): Promise<{ images: Uint8Array; labels: Uint8Array }> {
  const images = await context.images(batch);
  return { images, labels: Uint8Array.from({ length: batch }, (_, i) => i % CLASSES) };
}

/** Of one image: a convolution's two gradients each multiply as much as it does. */
export const stepOperations = (macs: number, batch: number) => 2 * 3 * batch * macs;

async function openStep(context: BenchContext, batch: number): Promise<Opened> {
  const model = await context.model();
  const data = await stepData(context, batch);
  const trainer = await createTrainer(context.runtime, model, { batch, momentum: STEP.momentum });
  const plan: StepPlan = { step: 0, perEpoch: 1, rate: STEP.rate, augment: false, seed: 0 };
  const loss = async () => (await trainer.step(data, plan)).loss;
  return {
    work: { amount: batch, unit: 'images/s' },
    bound: { ceiling: 'f32GFlops', amount: stepOperations(macsPerImage(model), batch) },
    run: loss,
    logits: () => firstLosses(loss),
    close: () => trainer.destroy(),
  };
}

/** The losses of the first steps: all but the first depend on every gradient before them. */
export async function firstLosses(step: () => Promise<number>): Promise<Float32Array> {
  const losses: number[] = [];
  for (let i = 0; i < 2; i++) losses.push(await step());
  return Float32Array.from(losses);
}
