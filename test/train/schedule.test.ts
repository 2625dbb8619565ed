import { describe, expect, test } from 'vitest';
import { rateAt } from '../../src/train/schedule.ts';

describe('rateAt', () => {
  test('cosine: the highest first, half of it half way, zero at the end', () => {
    expect([0, 50, 100].map((step) => rateAt('cosine', 0.1, step, 100))).toEqual([0.1, 0.05, 0]);
  });

  test('lab: down in five steps and up in five, as its notebook prints', () => {
    const printed = [0.01, 0.009045, 0.006545, 0.003455, 0.000955, 0, 0.000955];
    for (const [step, rate] of printed.entries()) expect(rateAt('lab', 0.01, step, 490)).toBeCloseTo(rate, 6);
    expect(rateAt('lab', 0.01, 10, 490)).toBeCloseTo(0.01, 12);
  });

  test('one-cycle: the values of PyTorch’s OneCycleLR(max_lr=0.1, total_steps=20)', () => {
    const torch: [step: number, rate: number][] = [
      [0, 0.004],
      [1, 0.01316718427],
      [5, 0.1],
      [6, 0.09874640062350874],
      [12, 0.05000020000000001],
      [19, 4e-7],
    ];
    for (const [step, rate] of torch) expect(rateAt('one-cycle', 0.1, step, 20)).toBeCloseTo(rate, 9);
  });

  test('constant stays', () => {
    expect(rateAt('constant', 0.3, 7, 9)).toBe(0.3);
  });
});
