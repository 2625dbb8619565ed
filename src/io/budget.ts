import { check } from '../gpu/errors.ts';

/** What any file may ask for, and what each of its bytes adds: both generous, so that only a bomb meets them. */
const FLOOR = 16 * 2 ** 20;
const PER_BYTE = 16;

/**
 * Memory and steps that reading a file may take, in proportion to its size. Formats whose few bytes can ask for
 * gigabytes (deflate, strides of zero) or for hours (lists that hold each other) spend from one as they go.
 */
export class Budget {
  private left: number;
  private readonly total: number;

  /** @param fileBytes size of the file that is read */
  constructor(private readonly fileBytes: number) {
    this.total = FLOOR + PER_BYTE * fileBytes;
    this.left = this.total;
  }

  /**
   * @param amount bytes made, or items looked at
   * @param what the rule's subject: 'a checkpoint’s tensors'
   * @throws LloydError once more has been spent than the file is worth
   */
  spend(amount: number, what: string, cure: string): void {
    this.left -= amount;
    if (this.left >= 0) return;
    check(
      false,
      `${what} must take at most ${this.total} bytes or steps for a file of ${this.fileBytes} bytes (${FLOOR} and ${PER_BYTE} a byte)`,
      `${this.total - this.left} or more`,
      cure,
    );
  }
}
