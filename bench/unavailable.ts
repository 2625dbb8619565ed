/** What a subject throws when this adapter has no means for its work: a line in the report, and no failure. */
export class Unavailable extends Error {}
