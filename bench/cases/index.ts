import type { BenchCase, Size } from '../types.ts';
import { convCases } from './conv.ts';
import { kmeansCases } from './kmeans.ts';
import { linearCases } from './linear.ts';
import { matmulCases } from './matmul.ts';
import { vggCases } from './vgg.ts';

/** Every case at a size, in the order they run. */
export function benchCases(size: Size): BenchCase[] {
  return [
    ...vggCases(size),
    ...convCases(size),
    ...matmulCases(size),
    ...kmeansCases(size),
    ...linearCases(size),
  ];
}
