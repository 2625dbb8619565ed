declare module 'skmeans' {
  /** `centroids` are the start; iterates until nothing moves or `maxIterations` is reached. */
  export default function skmeans(
    data: readonly number[],
    clusters: number,
    centroids?: number[] | null,
    maxIterations?: number,
  ): { it: number; k: number; idxs: number[]; centroids: number[] };
}
