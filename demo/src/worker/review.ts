import { type CompareRowName, topOne } from 'lloyd';
import { CIFAR10_CLASSES, CIFAR10_IMAGE_BYTES } from 'lloyd/io';
import type { Calls, Review } from '../protocol.ts';
import type { Context } from './main.ts';

const CLASSES = CIFAR10_CLASSES.length;

/** What each precision of the last comparison said: the first tiles by disagreement, and a confusion matrix a row. */
export async function review(
  { tiles }: Calls['review']['request'],
  { state: { test, compared } }: Context<'review'>,
): Promise<Review> {
  const { images, logits } = compared;
  const labels = test.labels.subarray(0, images);
  const answers = new Map([...logits].map(([name, own]) => [name, topOne(own, CLASSES)]));
  const reference = answers.get('fp32') ?? [];
  const order = byDisagreement([...answers.values()], labels);
  return {
    images,
    differing: order.filter(({ kinds }) => kinds > 1).length,
    disagreeing: [...answers.values()].filter((own) => own.some((answer, i) => answer !== reference[i]))
      .length,
    tiles: order.slice(0, tiles).map(({ index }) => ({
      index,
      label: labels[index],
      pixels: test.images.slice(index * CIFAR10_IMAGE_BYTES, (index + 1) * CIFAR10_IMAGE_BYTES),
      rows: [...logits].map(([name, own]) => ({
        name,
        logits: own.slice(index * CLASSES, (index + 1) * CLASSES),
      })),
    })),
    confusion: [...answers].map(([name, own]) => ({ name, counts: confusion(own, labels) })),
  };
}

/** Images in the order of how many answers they get, then of how many are wrong. */
function byDisagreement(answers: readonly number[][], labels: Uint8Array) {
  return [...labels]
    .map((label, index) => ({
      index,
      kinds: new Set(answers.map((own) => own[index])).size,
      wrong: answers.filter((own) => own[index] !== label).length,
    }))
    .sort((a, b) => b.kinds - a.kinds || b.wrong - a.wrong || a.index - b.index);
}

/** Images of each class (a row) by the answer they got (a column). */
function confusion(answers: readonly number[], labels: Uint8Array): Uint32Array {
  const counts = new Uint32Array(CLASSES * CLASSES);
  for (const [i, label] of labels.entries()) counts[label * CLASSES + answers[i]]++;
  return counts;
}

/** What is kept of a comparison for {@link review}. */
export interface Compared {
  images: number;
  logits: Map<CompareRowName, Float32Array>;
}
