import { describe, expect, test } from 'vitest';
import {
  addExactly,
  type ExactSum,
  exactly,
  isExact,
  nearest,
  readExact,
  writeExact,
} from '../../src/run/exact-sum.ts';
import { addCounts, countRow, ratesOf } from '../../src/run/tally.ts';
import { seeded } from '../support/runtime.ts';

const random = seeded(17);
const view = new DataView(new ArrayBuffer(8));
/** Any finite float64 at all: huge, tiny and subnormal. */
function anyNumber(): number {
  for (;;) {
    for (const at of [0, 4]) view.setUint32(at, Math.floor(random.next() * 2 ** 32));
    if (random.next() < 0.1) view.setUint16(0, view.getUint16(0) & 0x800f);
    if (Number.isFinite(view.getFloat64(0))) return view.getFloat64(0);
  }
}
const sumOf = (numbers: readonly number[]) =>
  numbers.map(exactly).reduce((a: ExactSum, b) => addExactly(a, b), 0n);
const shuffled = <T>(all: readonly T[]) =>
  all
    .map((each) => ({ each, at: random.next() }))
    .sort((a, b) => a.at - b.at)
    .map(({ each }) => each);

/** The float64 after or before a positive one. */
function beside(value: number, step: 1n | -1n): number {
  view.setFloat64(0, value);
  view.setBigUint64(0, view.getBigUint64(0) + step);
  return view.getFloat64(0);
}

describe('exact sums', () => {
  test('a number is itself, in memory and written', () => {
    const edges = [0, 1, -1, 0.1, 5e-324, -5e-324, 2 ** -1022, Number.MAX_VALUE, -Number.MAX_VALUE];
    for (const value of [...edges, ...Array.from({ length: 2000 }, anyNumber)]) {
      const sum = exactly(value);
      expect(nearest(sum)).toBe(value);
      expect(readExact(writeExact(sum))).toBe(sum);
    }
    expect([0, 1, -1.5, 5e-324].map((value) => writeExact(exactly(value)))).toEqual([
      '0x0p0',
      '0x1p0',
      '-0x3p-1',
      '0x1p-1074',
    ]);
    for (const odd of [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, Number.NaN])
      expect(readExact(writeExact(exactly(odd)))).toBe(odd);
  });

  test('in any order and grouping the same, and nothing cancels away', () => {
    for (let turn = 0; turn < 50; turn++) {
      const numbers = Array.from({ length: 20 }, anyNumber);
      const sum = writeExact(sumOf(numbers));
      expect(writeExact(sumOf(shuffled(numbers)))).toBe(sum);
      const parts = [sumOf(numbers.slice(0, turn % 20)), sumOf(numbers.slice(turn % 20))];
      expect(writeExact(addExactly(parts[1], parts[0]))).toBe(sum);
      const small = anyNumber();
      const back = sumOf(shuffled([...numbers, small, ...numbers.map((each) => -each)]));
      expect(nearest(back)).toBe(small);
    }
    expect(nearest(sumOf([1e16, 1, -1e16]))).toBe(1);
    expect(nearest(sumOf(Array.from({ length: 10 }, () => 0.1)))).toBe(1);
    expect(nearest(sumOf([1, Number.POSITIVE_INFINITY, 2]))).toBe(Number.POSITIVE_INFINITY);
    expect(nearest(sumOf([Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY]))).toBeNaN();
  });

  test('comes to the nearest number, to the even one of two', () => {
    const far = (a: bigint, b: number) => {
      const difference = a - (exactly(b) as bigint);
      return difference < 0n ? -difference : difference;
    };
    for (let turn = 0; turn < 500; turn++) {
      const base = 2 ** (turn - 250) * (1 + random.next());
      const sum = sumOf([base, base * 2 ** -53, base * 2 ** -106 * random.next()]) as bigint;
      const got = nearest(sum);
      for (const step of [1n, -1n] as const)
        expect(far(sum, got) <= far(sum, beside(got, step)), `${sum} is nearer to the next`).toBe(true);
    }
    expect(nearest(sumOf([1, 2 ** -53]))).toBe(1);
    expect(nearest(sumOf([1, 2 ** -52, 2 ** -53]))).toBe(1 + 2 ** -51);
    expect(nearest(sumOf([1, 2 ** -53, 5e-324]))).toBe(1 + 2 ** -52);
    expect(nearest(sumOf([Number.MAX_VALUE, Number.MAX_VALUE]))).toBe(Number.POSITIVE_INFINITY);
  });

  test('other texts are refused', () => {
    for (const text of [
      '',
      '1',
      '0x',
      '0x1',
      '0x1p',
      '0x1p0 ',
      '0X1p0',
      '0x1p-1075',
      '0x1p9999',
      ' NaN',
      '0x1.8p0',
    ])
      expect(() => readExact(text), text).toThrow(/an exact sum must be hexadecimal/);
    expect([undefined, null, 1, {}, []].filter(isExact)).toEqual([]);
  });
});

describe('counts of a row', () => {
  const classes = 7;
  const images = 61;
  // Halves: ties between classes too, whose first is taken.
  const some = (scale: number) =>
    Float32Array.from(
      { length: images * classes },
      () => (Math.floor(random.next() * 9) - 4) * scale * (random.next() < 0.5 ? 1 : 0.1),
    );
  const reference = some(0.5);
  const logits = reference.map((value) => value + (random.next() < 0.4 ? random.next() - 0.5 : 0));
  const labels = Uint8Array.from({ length: images }, () => Math.floor(random.next() * classes));
  const count = (first: number, end: number) =>
    countRow(
      logits.subarray(first * classes, end * classes),
      reference.subarray(first * classes, end * classes),
      labels.subarray(first, end),
    );

  test('are those of its images, one by one', () => {
    const top = (values: Float32Array, image: number) => {
      const own = [...values.subarray(image * classes, (image + 1) * classes)];
      return own.indexOf(Math.max(...own));
    };
    const each = Array.from({ length: images }, (_, i) => i);
    const whole = count(0, images);
    expect(whole.correct).toBe(each.filter((i) => top(logits, i) === labels[i]).length);
    expect(whole.agreeing).toBe(each.filter((i) => top(logits, i) === top(reference, i)).length);
    expect(whole.agreeing).toBeLessThan(images);
    const signal = reference.reduce((sum, value) => sum + value ** 2, 0);
    const noise = logits.reduce((sum, value, i) => sum + (value - reference[i]) ** 2, 0);
    const { accuracy, agreement, logitSqnrDb } = ratesOf(whole, images, false);
    expect([accuracy, agreement]).toEqual([whole.correct / images, whole.agreeing / images]);
    expect(logitSqnrDb).toBeCloseTo(10 * Math.log10(signal / noise), 10);
  });

  test('add up to those of the whole, wherever it is cut', () => {
    const whole = count(0, images);
    for (let cut = 1; cut < images; cut++) {
      expect(addCounts(count(cut, images), count(0, cut))).toEqual(whole);
    }
    const single = Array.from({ length: images }, (_, i) => count(i, i + 1));
    expect(shuffled(single).reduce(addCounts)).toEqual(whole);
  });

  test('hold what is not finite', () => {
    const spoilt = logits.slice();
    spoilt[3] = Number.POSITIVE_INFINITY;
    const counts = countRow(spoilt, reference, labels);
    expect(counts.noise).toBe('Infinity');
    expect(addCounts(counts, count(0, images)).noise).toBe('Infinity');
    expect(ratesOf(counts, images, false).logitSqnrDb).toBe(Number.NEGATIVE_INFINITY);
    expect(ratesOf(countRow(reference, reference, labels), images, false).logitSqnrDb).toBe(
      Number.POSITIVE_INFINITY,
    );
    expect(ratesOf(count(0, images), images, true).logitSqnrDb).toBeNull();
  });
});
