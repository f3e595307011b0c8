// The write token, kept for as long as the tab is open and nowhere else.

const NAME = "crossbit-token";

export const token = () => sessionStorage.getItem(NAME) || "";
export const keepToken = (given) => sessionStorage.setItem(NAME, given);
export const forgetToken = () => sessionStorage.removeItem(NAME);
