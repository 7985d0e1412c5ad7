import { APIError, Gateway, type Header } from "encore.dev/api";
import { authHandler } from "encore.dev/auth";

interface Credentials {
  authorization: Header<"Authorization">;
}

interface User {
  userID: string;
  name: string;
  since: Date;
}

export const auth = authHandler<Credentials, User>(async ({ authorization }) => {
  if (authorization === "Bearer broken") throw new Error("the list of users is lost");
  if (!authorization.startsWith("Bearer ")) throw APIError.unauthenticated("no bearer token");
  return { userID: authorization.slice(7), name: "Zoë", since: new Date(0) };
});

export const gateway = new Gateway({ authHandler: auth });
