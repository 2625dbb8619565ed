import { expect, test } from 'vitest';
import { chooseTile } from '../../src/quantize/tile.ts';
import { isAligned } from '../../src/quantize/weight-layout.ts';

const vectors = (outChannels: number, groups: number) =>
  chooseTile(1024, { outChannels, groups }, true, 'lavapipe').tileVectors;

test('groups that whole tiles can hold are never made dense', () => {
  for (const perGroup of [4, 8, 12, 16, 20, 24, 40, 48, 64]) {
    const shape = { outChannels: perGroup * 3, inChannels: 8, kernelHeight: 3, kernelWidth: 3, groups: 3 };
    expect(isAligned(shape, vectors(perGroup * 3, 3)), `${perGroup} channels a group`).toBe(true);
  }
});

test('one group takes the widest tile that its channels fill', () => {
  expect([3, 8, 10, 24, 512].map((channels) => vectors(channels, 1))).toEqual([1, 2, 4, 4, 4]);
});
