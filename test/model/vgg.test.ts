// The VGG that parameters describe: of any width and class count, under the prefixes of wrappers.
import { describe, expect, test } from 'vitest';
import type { Tensor } from '../../src/gpu/tensor.ts';
import { parameterShapes } from '../../src/model/parameters.ts';
import { vgg } from '../../src/model/vgg.ts';
import { readModelFile, writeModelFile } from '../../src/run/file.ts';

/** Parameters of a VGG with these output channels, each filled with its own number. */
function parametersOf(widths: readonly number[], classes: number, prefix = '') {
  const parameters = new Map<string, Tensor>();
  let number = 0;
  const put = (name: string, dims: number[]) => {
    const data = new Float32Array(dims.reduce((a, b) => a * b, 1)).fill(++number / 64);
    parameters.set(prefix + name, { dtype: 'float32', dims, data } as Tensor);
  };
  let channels = 3;
  for (const [i, width] of widths.entries()) {
    put(`backbone.conv${i}.weight`, [width, channels, 3, 3]);
    for (const field of ['weight', 'bias', 'running_mean', 'running_var'])
      put(`backbone.bn${i}.${field}`, [width]);
    channels = width;
  }
  put('classifier.weight', [classes, channels]);
  put('classifier.bias', [classes]);
  return parameters;
}

const LAB = [64, 128, 256, 256, 512, 512, 512, 512];
const eighth = LAB.map((width) => width / 8);

describe('vgg takes its widths and classes from the parameters', () => {
  test.each([
    ['the lab’s', LAB.map((width) => width / 32), 10, 'vgg/32'],
    ['an eighth, 100 classes', eighth, 100, 'vgg/8'],
    ['half as wide again', [6, 12, 24, 24, 48, 48, 48, 48], 3, 'vgg(6,12,24,24,48,48,48,48)'],
    ['wider at first', [96, 8, 16, 16, 8, 8, 8, 8], 10, 'vgg(96,8,16,16,8,8,8,8)'],
    ['pruned', [5, 8, 11, 16, 20, 3, 7, 30], 1, 'vgg(5,8,11,16,20,3,7,30)'],
  ])('%s', (_, widths, classes, name) => {
    const model = vgg({ parameters: parametersOf(widths, classes) });
    expect(model.graph.name).toBe(name);
    expect([...parameterShapes(model.graph)]).toEqual(
      [...model.parameters].map(([key, { dims }]) => [key, dims]),
    );
    const again = readModelFile(writeModelFile(model)) as typeof model;
    expect(again.graph).toEqual(model.graph);
    expect(again.parameters).toEqual(model.parameters);
  });

  test('asked for another width or class count, it says which parameter is of another shape', () => {
    const parameters = parametersOf(eighth, 10);
    expect(() => vgg({ parameters, widthDivisor: 16 })).toThrow(
      /backbone\.conv0\.weight must have the shape 4 x 3/,
    );
    expect(() => vgg({ parameters, classes: 11 })).toThrow(/classifier\.weight must have the shape 11 x 64/);
    parameters.get('backbone.conv3.weight')!.dims = [32, 31, 3, 3];
    expect(() => vgg({ parameters })).toThrow(/backbone\.conv3\.weight must have the shape 32 x 32 x 3 x 3/);
  });
});

describe('the prefix of a wrapper', () => {
  test.each(['module.', '_orig_mod.', 'module._orig_mod.', 'module.module.'])('%s is taken off', (prefix) => {
    const bare = vgg({ parameters: parametersOf(eighth, 10) });
    expect(vgg({ parameters: parametersOf(eighth, 10, prefix) })).toEqual(bare);
  });

  test('of some names only, or of another network, it stays, and the error has the names as they are', () => {
    const mixed = parametersOf(eighth, 10, 'module.');
    mixed.set('epoch', { dtype: 'float32', dims: [], data: new Float32Array(1) } as Tensor);
    expect(() => vgg({ parameters: mixed })).toThrow(
      /needs the parameter backbone\.conv0\.weight; received "only module\.b/,
    );
    const other = new Map([['module.0.weight', mixed.get('epoch')!]]);
    expect(() => vgg({ parameters: other })).toThrow(/received "only module\.0\.weight/);
  });
});
