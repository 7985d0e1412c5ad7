import { APIError, Gateway, type Header, type Query } from "encore.dev/api";
import { authHandler } from "encore.dev/auth";

interface Credentials {
  authorization?: Header<"Authorization">;
  token?: Query<string>;
}

interface Caller {
  userID: string;
}

export const auth = authHandler<Credentials, Caller>(async ({ authorization, token }) => {
  const user = authorization ?? token ?? "";
  if (!user.startsWith("good-")) throw APIError.unauthenticated("bad token");
  return { userID: user };
});

export const gateway = new Gateway({ authHandler: auth });
