/** What a command ends with: 1, it could not be done; 2, it was not asked for rightly. */
export type ExitCode = 1 | 2;

/** An outcome that the user is told in one line, as opposed to a fault of ours. */
export class Failure extends Error {
  constructor(
    message: string,
    readonly exitCode: ExitCode = 1,
    /** The API's code, such as `not_found`, where the API gave one. */
    readonly code: string | null = null,
  ) {
    super(message);
  }
}

export function usage(message: string): Failure {
  return new Failure(message, 2);
}
