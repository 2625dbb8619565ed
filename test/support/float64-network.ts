import type { ImageModel, ImageShape } from '../../src/model/graph.ts';
import { inferShapes } from '../../src/model/graph.ts';

/** A network's output for NHWC images, by the definitions of its operators and in float64. */
export function float64Output({ graph, parameters }: ImageModel, images: ArrayLike<number>): Float64Array {
  const shapes = inferShapes(graph);
  const { input } = graph;
  const batch = images.length / (input.height * input.width * input.channels);
  const values = new Map([[input.name, Float64Array.from(images)]]);
  const own = (name: string) => parameters.get(name)?.data as Float32Array | undefined;
  for (const node of graph.nodes) {
    const inputs = node.inputs.map((name) => ({ shape: shapes.get(name)!, data: values.get(name)! }));
    const [{ shape, data }] = inputs;
    const out = shapes.get(node.name)!;
    const result = new Float64Array(batch * out.height * out.width * out.channels);
    const put = (value: (n: number, y: number, x: number, c: number) => number) => {
      let at = 0;
      for (let n = 0; n < batch; n++)
        for (let y = 0; y < out.height; y++)
          for (let x = 0; x < out.width; x++)
            for (let c = 0; c < out.channels; c++) result[at++] = value(n, y, x, c);
    };
    const read = (
      of: { shape: ImageShape; data: Float64Array },
      n: number,
      y: number,
      x: number,
      c: number,
    ) => of.data[((n * of.shape.height + y) * of.shape.width + x) * of.shape.channels + c];
    const inside = (y: number, x: number) => y >= 0 && x >= 0 && y < shape.height && x < shape.width;
    switch (node.op) {
      case 'conv2d': {
        const { kernel, strides = [1, 1], dilations = [1, 1], pads = [0, 0, 0, 0], groups = 1 } = node;
        const [weight, bias] = [own(`${node.name}.weight`)!, own(`${node.name}.bias`)];
        const perGroup = shape.channels / groups;
        put((n, y, x, o) => {
          const first = Math.floor(o / (out.channels / groups)) * perGroup;
          let sum = bias?.[o] ?? 0;
          for (let ky = 0; ky < kernel[0]; ky++) {
            for (let kx = 0; kx < kernel[1]; kx++) {
              const [iy, ix] = [
                y * strides[0] + ky * dilations[0] - pads[0],
                x * strides[1] + kx * dilations[1] - pads[1],
              ];
              if (!inside(iy, ix)) continue;
              for (let c = 0; c < perGroup; c++) {
                const w = weight[((o * perGroup + c) * kernel[0] + ky) * kernel[1] + kx];
                sum += w * read(inputs[0], n, iy, ix, first + c);
              }
            }
          }
          return sum;
        });
        break;
      }
      case 'linear': {
        const [weight, bias] = [own(`${node.name}.weight`)!, own(`${node.name}.bias`)];
        const length = shape.height * shape.width * shape.channels;
        const pixels = shape.height * shape.width;
        put((n, _, __, o) => {
          let sum = bias?.[o] ?? 0;
          for (let i = 0; i < length; i++) {
            // Weights are in the order of a flattened C x H x W tensor.
            const from = (i % pixels) * shape.channels + Math.floor(i / pixels);
            sum += weight[o * length + i] * data[n * length + from];
          }
          return sum;
        });
        break;
      }
      case 'batchNorm': {
        const field = (name: string) => own(`${node.name}.${name}`)!;
        const [gamma, beta, mean, variance] = ['weight', 'bias', 'running_mean', 'running_var'].map(field);
        const epsilon = node.epsilon ?? 1e-5;
        put(
          (n, y, x, c) =>
            ((read(inputs[0], n, y, x, c) - mean[c]) / Math.sqrt(variance[c] + epsilon)) * gamma[c] + beta[c],
        );
        break;
      }
      case 'relu':
        put((n, y, x, c) => Math.max(0, read(inputs[0], n, y, x, c)));
        break;
      case 'relu6':
        put((n, y, x, c) => Math.min(6, Math.max(0, read(inputs[0], n, y, x, c))));
        break;
      case 'add':
        put((n, y, x, c) => inputs.reduce((sum, each) => sum + read(each, n, y, x, c), 0));
        break;
      case 'concat':
        put((n, y, x, c) => {
          let channel = c;
          for (const each of inputs) {
            if (channel < each.shape.channels) return read(each, n, y, x, channel);
            channel -= each.shape.channels;
          }
          throw new Error('a channel of no input');
        });
        break;
      case 'maxPool':
      case 'averagePool':
      case 'globalAveragePool': {
        const whole = node.op === 'globalAveragePool';
        const kernel = whole ? [shape.height, shape.width] : node.kernel;
        const strides = whole ? [1, 1] : node.strides;
        const pads = (whole ? undefined : node.pads) ?? [0, 0, 0, 0];
        put((n, y, x, c) => {
          const seen: number[] = [];
          for (let ky = 0; ky < kernel[0]; ky++) {
            for (let kx = 0; kx < kernel[1]; kx++) {
              const [iy, ix] = [y * strides[0] + ky - pads[0], x * strides[1] + kx - pads[1]];
              if (inside(iy, ix)) seen.push(read(inputs[0], n, iy, ix, c));
            }
          }
          if (node.op === 'maxPool') return Math.max(...seen);
          return seen.reduce((a, b) => a + b, 0) / seen.length;
        });
        break;
      }
      case 'flatten':
      case 'identity':
        result.set(data);
        break;
    }
    values.set(node.name, result);
  }
  return values.get(graph.output)!;
}
