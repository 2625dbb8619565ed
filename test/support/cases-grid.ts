import type { Attributes } from '../../src/graph/ops/tensors.ts';
import { float32, type Generator } from './cases-of.ts';
import { int64s } from './planned.ts';

export const gridSample: Generator = (random) => {
  const opset = random.pick([16, 20]);
  const rank = opset >= 20 && random.next() < 0.4 ? 3 : 2;
  const each = (low: number, high: number) => Array.from({ length: rank }, () => random.integer(low, high));
  const [batch, channels] = [random.integer(1, 2), random.integer(1, 3)];
  const modes = opset < 20 ? ['bilinear', 'nearest', 'bicubic'] : ['linear', 'nearest', 'cubic'];
  const attributes: Attributes = {
    mode: random.pick(modes.slice(0, rank === 3 ? 2 : 3)),
    padding_mode: random.pick(['zeros', 'border', 'reflection']),
    align_corners: random.integer(0, 1),
  };
  const inputs = [
    float32(random, [batch, channels, ...each(1, 5)]),
    float32(random, [batch, ...each(1, 4), rank]),
  ];
  return { inputs, attributes: random.next() < 0.2 ? {} : attributes, opset };
};

export const affineGrid: Generator = (random) => {
  const rank = random.pick([2, 3]);
  const batch = random.integer(1, 2);
  const spatial = Array.from({ length: rank }, () => random.integer(2, 5));
  const theta = float32(random, [batch, rank, rank + 1]);
  return {
    inputs: [theta, int64s(batch, 3, ...spatial)],
    attributes: { align_corners: random.integer(0, 1) },
    opset: 20,
  };
};
