import type { BenchCase, Size } from '../types.ts';
import { vggCases } from './vgg.ts';

/** Every case at a size, in the order they run. */
export function benchCases(size: Size): BenchCase[] {
  return [...vggCases(size)];
}
