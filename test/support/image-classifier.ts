import { PNG } from 'pngjs';
import type { GraphModel, Node } from '../../src/graph/graph.ts';
import type { OnnxTensor } from '../../src/graph/ops/tensors.ts';
import { seeded } from './runtime.ts';

/** Two convolutions and a classifier, as an ONNX file would have them: N x 3 x 8 x 8 images, five classes. */
export function imageClassifier(seed = 7): GraphModel {
  const random = seeded(seed);
  const parameters = new Map<string, OnnxTensor>();
  const constant = (name: string, ...dims: number[]) => {
    // Biases far below what the weights make, which would else count for nothing.
    const scale = dims.length === 1 ? 0.1 : 1 / Math.sqrt(dims.slice(1).reduce((a, b) => a * b, 1));
    const data = random.floats(
      dims.reduce((a, b) => a * b, 1),
      scale,
    );
    parameters.set(name, { dtype: 'float32', dims, data });
    return name;
  };
  const node = (op: string, name: string, inputs: string[], attributes: Node['attributes'] = {}): Node => {
    return { op, name, inputs, outputs: [`${name} out`], attributes };
  };
  const conv = { kernel_shape: [3, 3], pads: [1, 1, 1, 1] };
  const nodes = [
    node('Conv', 'first', ['image', constant('first w', 6, 3, 3, 3), constant('first b', 6)], conv),
    node('Relu', 'first relu', ['first out']),
    node('Conv', 'second', ['first relu out', constant('second w', 10, 6, 3, 3), constant('second b', 10)], {
      ...conv,
      strides: [2, 2],
    }),
    node('Relu', 'second relu', ['second out']),
    node('Flatten', 'rows', ['second relu out'], { axis: 1 }),
    node('Gemm', 'scores', ['rows out', constant('scores w', 5, 160), constant('scores b', 5)], {
      transB: 1,
    }),
  ];
  const inputs = [{ name: 'image', dtype: 'float32' as const, shape: ['batch', 3, 8, 8] }];
  return { graph: { name: 'classifier', opset: 17, inputs, nodes, outputs: ['scores out'] }, parameters };
}

/** A PNG of noise, or of the pixels given (RGB). */
export function png(width: number, height: number, pixels: number | ArrayLike<number>): Buffer {
  const random = seeded(typeof pixels === 'number' ? pixels : 0);
  const image = new PNG({ width, height });
  for (let i = 0; i < width * height * 4; i++) {
    const at = Math.floor(i / 4) * 3 + (i % 4);
    if (i % 4 === 3) image.data[i] = 255;
    else image.data[i] = typeof pixels === 'number' ? random.integer(0, 255) : pixels[at];
  }
  return PNG.sync.write(image);
}
