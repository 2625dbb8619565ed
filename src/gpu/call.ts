/** One bound dispatch: `encode` records it and does nothing else. */
export interface Call {
  readonly kernel: string;
  readonly workgroups: readonly [number, number, number];
  /**
   * Records pipeline, bind group and dispatch into the caller's pass: no submit, no wait, no allocation.
   *
   * @throws LloydError where there is a `stage` that was not recorded since the last time.
   */
  encode(pass: GPUComputePassEncoder): void;
  /**
   * Only where a buffer was given for a texture binding: records the copy from the one to the other, which has to come
   * before every pass that `encode`s the call, outside any pass. {@link recordCalls} does both.
   */
  readonly stage?: { readonly bytes: number; record(encoder: GPUCommandEncoder): void };
  /** Frees the params buffer and the texture of `stage`. The caller's own resources are untouched. */
  destroy(): void;
}

/** Where in a query set the time before and after recorded calls goes. */
export interface Stamps {
  querySet: GPUQuerySet;
  before: number;
  after: number;
}

/**
 * Records calls in order, in one compute pass as far as their stages allow; stages are part of the time stamped.
 *
 * @example
 * const encoder = device.createCommandEncoder();
 * recordCalls(encoder, calls);
 * device.queue.submit([encoder.finish()]);
 */
export function recordCalls(encoder: GPUCommandEncoder, calls: readonly Call[], stamps?: Stamps): void {
  const { querySet, before: beginningOfPassWriteIndex, after: endOfPassWriteIndex } = stamps ?? {};
  const begin = (writes: Omit<GPUComputePassTimestampWrites, 'querySet'>) =>
    encoder.beginComputePass(querySet && { timestampWrites: { querySet, ...writes } });
  if (!calls.some(({ stage }) => stage)) {
    const pass = begin({ beginningOfPassWriteIndex, endOfPassWriteIndex });
    for (const call of calls) call.encode(pass);
    pass.end();
    return;
  }
  if (stamps) begin({ beginningOfPassWriteIndex }).end();
  let pass: GPUComputePassEncoder | undefined;
  for (const call of calls) {
    if (call.stage) {
      pass?.end();
      pass = undefined;
      call.stage.record(encoder);
    }
    pass ??= encoder.beginComputePass();
    call.encode(pass);
  }
  pass?.end();
  if (stamps) begin({ endOfPassWriteIndex }).end();
}
