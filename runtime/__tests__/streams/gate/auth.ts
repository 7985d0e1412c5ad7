import { APIError, Gateway, type Header } from "encore.dev/api";
import { authHandler } from "encore.dev/auth";

interface Credentials {
  authorization: Header<"Authorization">;
}

interface Caller {
  userID: string;
}

export const auth = authHandler<Credentials, Caller>(async ({ authorization }) => {
  if (authorization !== "Bearer good") throw APIError.unauthenticated("bad token");
  return { userID: "ada" };
});

export const gateway = new Gateway({ authHandler: auth });
