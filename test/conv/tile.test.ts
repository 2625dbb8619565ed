import { expect, test } from 'vitest';
import { chooseTile } from '../../src/conv/tile.ts';
import { isAligned } from '../../src/conv/weight-layout.ts';

/** What `chooseTile` looks at in a runtime. */
function cpu(software: 'lavapipe' | 'swiftshader' | null, subgroupSize = 8) {
  return { adapter: { software, subgroupSize } } as unknown as Parameters<typeof chooseTile>[0];
}

const conv = (outChannels: number, groups: number, inChannels = 8) => ({
  outChannels,
  inChannels,
  kernelHeight: 3,
  kernelWidth: 3,
  groups,
});

test.each([cpu('lavapipe'), cpu('lavapipe', 4), cpu(null)])(
  'groups that whole tiles can hold are never made dense',
  (runtime) => {
    for (const perGroup of [4, 8, 12, 16, 20, 24, 32, 40, 48, 64]) {
      const shape = conv(perGroup * 3, 3, 16);
      for (const int8 of [true, false])
        expect(isAligned(shape, chooseTile(runtime, 1024, shape, int8).tileVectors), `${perGroup}`).toBe(
          true,
        );
    }
  },
);

test('one group takes the widest tile that its channels fill', () => {
  const vectors = (runtime: ReturnType<typeof cpu>) =>
    [3, 8, 10, 24, 512].map((channels) => chooseTile(runtime, 1024, conv(channels, 1), false).tileVectors);
  expect(vectors(cpu(null))).toEqual([1, 2, 4, 4, 4]);
  expect(vectors(cpu('lavapipe', 4))).toEqual([1, 2, 4, 4, 4]);
  expect(vectors(cpu('lavapipe'))).toEqual([1, 2, 4, 8, 8]);
});

test('weights are shared where subgroups and shape allow it', () => {
  const variant = (runtime: ReturnType<typeof cpu>, int8: boolean, inChannels: number, outChannels = 64) =>
    chooseTile(runtime, 1024, conv(outChannels, 1, inChannels), int8).variant;
  expect([3, 12, 16, 64].map((channels) => variant(cpu('lavapipe'), true, channels))).toEqual([
    'plain',
    'plain',
    'broadcast',
    'broadcast',
  ]);
  const grouped = (inChannels: number) =>
    chooseTile(cpu('lavapipe'), 1024, conv(64, 2, inChannels), true).variant;
  expect([13, 16].map(grouped)).toEqual(['plain', 'broadcast']);
  expect(variant(cpu('lavapipe'), false, 3)).toBe('broadcast');
  expect(variant(cpu('lavapipe'), false, 64, 8)).toBe('plain');
  expect(variant(cpu('lavapipe', 2), false, 64)).toBe('plain');
  expect(variant(cpu('swiftshader', 4), false, 3)).toBe('unrolled-broadcast');
  expect(variant(cpu('swiftshader', 4), false, 3, 8)).toBe('unrolled');
  expect(variant(cpu('swiftshader', 0), false, 64)).toBe('unrolled');
  expect(variant(cpu('swiftshader', 4), true, 64)).toBe('unrolled');
  expect(variant(cpu(null), false, 64)).toBe('plain');
});
