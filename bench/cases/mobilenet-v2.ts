import type { GraphModel } from '../../src/graph/graph.ts';
import { GraphWriter } from '../../src/graph/graph-writer.ts';
import { seeded } from '../random.ts';

/** Expansion, channels, repeats and first stride of the bottlenecks (Sandler et al., 2018, table 2). */
const BOTTLENECKS = [
  [1, 16, 1, 1],
  [6, 24, 2, 2],
  [6, 32, 3, 2],
  [6, 64, 4, 2],
  [6, 96, 3, 1],
  [6, 160, 3, 2],
  [6, 320, 1, 1],
] as const;
const CLASSES = 1000;

/**
 * MobileNetV2 as ONNX files have it, batch norms folded, with seeded weights: the work of a trained one and nobody's
 * file. Input `image`, batch x 3 x side x side; output `scores`.
 *
 * @param width of every layer, as a part of the paper's
 */
export function mobilenetV2(width = 1): GraphModel {
  const w = new GraphWriter('mobilenet-v2', 17);
  const image = w.input({ name: 'image', dtype: 'float32', shape: ['batch', 3, 'height', 'width'] });
  const bounds = [w.scalar('least', 0), w.scalar('most', 6)];
  const channelsOf = (channels: number) => Math.max(8, Math.round((channels * width) / 8) * 8);
  let last = image;
  let count = 0;
  const conv = (inputs: number, outputs: number, kernel: number, stride = 1, group = 1) => {
    const fanIn = (inputs / group) * kernel * kernel;
    const dims = [outputs, inputs / group, kernel, kernel];
    const random = seeded(++count);
    const weight = random.floats(outputs * fanIn, Math.sqrt(2 / fanIn));
    const pad = (kernel - 1) / 2;
    last = w.node(
      'Conv',
      `conv${count}`,
      [
        last,
        w.constant(`conv${count}.weight`, { dtype: 'float32', dims, data: weight }),
        w.constant(`conv${count}.bias`, {
          dtype: 'float32',
          dims: [outputs],
          data: random.floats(outputs, 0.1),
        }),
      ],
      { kernel_shape: [kernel, kernel], strides: [stride, stride], pads: [pad, pad, pad, pad], group },
    );
  };
  const relu6 = () => {
    last = w.node('Clip', `relu6${count}`, [last, ...bounds]);
  };
  let channels = channelsOf(32);
  conv(3, channels, 3, 2);
  relu6();
  for (const [expansion, outputs, repeats, first] of BOTTLENECKS) {
    for (let n = 0; n < repeats; n++) {
      const before = last;
      const inner = channels * expansion;
      const stride = n === 0 ? first : 1;
      const next = channelsOf(outputs);
      if (expansion > 1) {
        conv(channels, inner, 1);
        relu6();
      }
      conv(inner, inner, 3, stride, inner);
      relu6();
      conv(inner, next, 1);
      if (stride === 1 && channels === next) last = w.node('Add', `add${count}`, [before, last]);
      channels = next;
    }
  }
  const features = channelsOf(1280);
  conv(channels, features, 1);
  relu6();
  last = w.node('Flatten', 'flat', [w.node('GlobalAveragePool', 'mean', [last])], { axis: 1 });
  const data = seeded(1000).floats(features * CLASSES, Math.sqrt(1 / features));
  const weight = w.constant('classifier', { dtype: 'float32', dims: [features, CLASSES], data });
  return w.model([w.node('MatMul', 'scores', [last, weight])]);
}
