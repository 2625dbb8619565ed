import source from '../../shaders/sum-splits-wide.wgsl?raw';
import { defineKernel } from '../gpu/kernel.ts';
import { sumSplitsKernel } from './sum-splits.ts';

const { bindings, params } = sumSplitsKernel.declaration;

/** Adds the partial sums of a split reduction, many of few elements; shapes in `shaders/sum-splits-wide.wgsl`. */
export const sumSplitsWideKernel = defineKernel({
  name: 'sum-splits-wide',
  wgsl: [source],
  bindings,
  params,
  workgroups: ({ count }) => Math.ceil(count / 4),
});
