import type { BenchCase, Size } from '../types.ts';
import { codeCases } from './codes.ts';
import { coldStartCases } from './cold-start.ts';
import { convCases } from './conv.ts';
import { depthwiseCases } from './depthwise.ts';
import { gpuCases } from './gpu.ts';
import { gradientCases } from './gradients.ts';
import { kmeansCases } from './kmeans.ts';
import { layoutCases } from './layout.ts';
import { linearCases } from './linear.ts';
import { matmulCases } from './matmul.ts';
import { mergeCases } from './merge.ts';
import { normalizationCases } from './normalization.ts';
import { operatorCases } from './operators.ts';
import { plannedCases } from './planned.ts';
import { poolCases } from './pool.ts';
import { trainingCases } from './training.ts';
import { trainingStepCases } from './training-step.ts';
import { vggCases } from './vgg.ts';

/** Every case at a size, in the order they run. */
export function benchCases(size: Size): BenchCase[] {
  return [
    ...vggCases(size),
    ...coldStartCases(size),
    ...trainingStepCases(size),
    ...convCases(size),
    ...matmulCases(size),
    ...gpuCases(size),
    ...kmeansCases(size),
    ...linearCases(size),
    ...codeCases(size),
    ...poolCases(size),
    ...mergeCases(size),
    ...operatorCases(size),
    ...plannedCases(size),
    ...gradientCases(size),
    ...depthwiseCases(size),
    ...normalizationCases(size),
    ...trainingCases(size),
    ...layoutCases(size),
  ];
}
