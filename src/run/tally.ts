import { addExactly, type ExactSum, exactly, nearest, readExact, writeExact } from './exact-sum.ts';
import { decibelsOf, topOne, wilson } from './metrics.ts';

/**
 * What a row of a comparison comes from. Those of parts of the test images add up to those of the whole, whatever the
 * parts: an image's squares are summed in float64 in the order of its logits, the images' sums without rounding.
 */
export interface RowCounts {
  /** Images whose top-1 class is the label. */
  correct: number;
  /** Images with fp32's top-1 class. */
  agreeing: number;
  /** The sum of fp32's squared logits, exact, as C writes hexadecimal floats: `0x1b3p-52`. */
  signal: string;
  /** The sum of the squared differences from fp32's logits, written likewise. */
  noise: string;
}

/** The rates of a row, as its JSON has them. */
export interface RowRates {
  accuracy: number;
  accuracyLow: number;
  accuracyHigh: number;
  agreement: number;
  logitSqnrDb: number | null;
}

/** Counts one row's images: `labels.length` of them, `logits` and `reference` images x classes. */
export function countRow(logits: Float32Array, reference: Float32Array, labels: Uint8Array): RowCounts {
  const classes = logits.length / labels.length;
  const tops = topOne(logits, classes);
  const references = topOne(reference, classes);
  let signal: ExactSum = 0n;
  let noise: ExactSum = 0n;
  for (let first = 0; first < logits.length; first += classes) {
    let ownSignal = 0;
    let ownNoise = 0;
    for (let i = first; i < first + classes; i++) {
      ownSignal += reference[i] ** 2;
      ownNoise += (logits[i] - reference[i]) ** 2;
    }
    signal = addExactly(signal, exactly(ownSignal));
    noise = addExactly(noise, exactly(ownNoise));
  }
  return {
    correct: tops.filter((top, i) => top === labels[i]).length,
    agreeing: tops.filter((top, i) => top === references[i]).length,
    signal: writeExact(signal),
    noise: writeExact(noise),
  };
}

/** The counts of two sets of images that share none. */
export function addCounts(a: RowCounts, b: RowCounts): RowCounts {
  return {
    correct: a.correct + b.correct,
    agreeing: a.agreeing + b.agreeing,
    signal: writeExact(addExactly(readExact(a.signal), readExact(b.signal))),
    noise: writeExact(addExactly(readExact(a.noise), readExact(b.noise))),
  };
}

/** What counts of so many images come to; the SQNR of fp32 against itself is null. */
export function ratesOf(counts: RowCounts, images: number, isReference: boolean): RowRates {
  const [accuracyLow, accuracyHigh] = wilson(counts.correct, images);
  const [signal, noise] = [counts.signal, counts.noise].map((sum) => nearest(readExact(sum)));
  return {
    accuracy: counts.correct / images,
    accuracyLow,
    accuracyHigh,
    agreement: counts.agreeing / images,
    logitSqnrDb: isReference ? null : decibelsOf(signal, noise),
  };
}
