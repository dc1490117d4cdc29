/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A parser by recursive descent, one level of precedence at a time. The text is an operator's or a program's: nesting
 * is bounded, so that parentheses can't use up the stack.
 */
#include "monitor/hmp_expression.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define DEPTH_MAX    64
#define REGISTER_MAX 16
#define PRECEDENCES  6

struct expression {
    const char *text; /* what is left */
    hmp_register_fn *registers;
    void *opaque;
    unsigned depth;
    struct error **err;
    int ret; /* once it is bad, nothing else matters */
};

static uint64_t expression_binary(struct expression *expression, unsigned precedence);

static uint64_t expression_fail(struct expression *expression, const char *what)
{
    if (expression->ret == 0) {
        expression->ret = error_set(expression->err, -EINVAL, "%s at '%s'", what, expression->text);
    }
    return 0;
}

static char expression_peek(struct expression *expression)
{
    expression->text += strspn(expression->text, " \t");
    return expression->text[0];
}

static uint64_t expression_number(struct expression *expression)
{
    char *end;
    uint64_t value;

    errno = 0;
    value = strtoull(expression->text, &end, 0);
    if (errno != 0) {
        return expression_fail(expression, "a number beyond 64 bits");
    }
    if (isalnum((unsigned char)*end) || *end == '_') {
        return expression_fail(expression, "a number that isn't one");
    }
    expression->text = end;
    return value;
}

static uint64_t expression_register(struct expression *expression)
{
    const char *name = expression->text + 1;
    size_t len = 0;
    char copy[REGISTER_MAX];
    uint64_t value = 0;

    while (isalnum((unsigned char)name[len]) || name[len] == '_') {
        len++;
    }
    if (len == 0 || len >= sizeof(copy)) {
        return expression_fail(expression, "there is no such register");
    }
    memcpy(copy, name, len);
    copy[len] = '\0';
    if (!expression->registers || !expression->registers(expression->opaque, copy, &value)) {
        return expression_fail(expression, "there is no such register");
    }
    expression->text = name + len;
    return value;
}

static uint64_t expression_character(struct expression *expression)
{
    const char *text = expression->text;

    if (text[1] == '\0' || text[1] == '\'' || text[2] != '\'') {
        return expression_fail(expression, "a character that isn't one");
    }
    expression->text += 3;
    return (unsigned char)text[1];
}

static uint64_t expression_group(struct expression *expression)
{
    uint64_t value;

    expression->text++;
    value = expression_binary(expression, 0);
    if (expression->ret == 0 && expression_peek(expression) != ')') {
        return expression_fail(expression, "a ')' is missing");
    }
    expression->text += expression->ret == 0;
    return value;
}

static uint64_t expression_unary_operand(struct expression *expression);

static uint64_t expression_unary(struct expression *expression)
{
    char first = expression_peek(expression);
    uint64_t value;

    if (++expression->depth > DEPTH_MAX) {
        return expression_fail(expression, "too many levels");
    }
    switch (first) {
    case '+':
    case '-':
    case '~':
        expression->text++;
        value = expression_unary(expression);
        value = first == '-' ? 0 - value : first == '~' ? ~value : value;
        break;
    default:
        value = expression_unary_operand(expression);
        break;
    }
    expression->depth--;
    return value;
}

static uint64_t expression_unary_operand(struct expression *expression)
{
    char first = expression->text[0];

    if (isdigit((unsigned char)first)) {
        return expression_number(expression);
    }
    switch (first) {
    case '(':
        return expression_group(expression);
    case '$':
        return expression_register(expression);
    case '\'':
        return expression_character(expression);
    case '\0':
        return expression_fail(expression, "a number is missing");
    default:
        return expression_fail(expression, "a number is expected");
    }
}

/* The operator of this precedence that comes next, as one character ('<', '>' for shifts); 0 if none does. */
static char expression_operator(struct expression *expression, unsigned precedence)
{
    static const char *const operators[PRECEDENCES] = {"|", "^", "&", "<>", "+-", "*/%"};
    char first = expression_peek(expression);

    if (first == '\0' || !strchr(operators[precedence], first)) {
        return 0;
    }
    if (first == '<' || first == '>') {
        if (expression->text[1] != first) {
            return 0;
        }
        expression->text++;
    }
    expression->text++;
    return first;
}

static uint64_t expression_apply(struct expression *expression, char operator, uint64_t left, uint64_t right)
{
    switch (operator) {
    case '|':
        return left | right;
    case '^':
        return left ^ right;
    case '&':
        return left & right;
    case '<':
        return right < 64 ? left << right : 0;
    case '>':
        return right < 64 ? left >> right : 0;
    case '+':
        return left + right;
    case '-':
        return left - right;
    case '*':
        return left * right;
    default:
        if (right == 0) {
            return expression_fail(expression, "a division by zero");
        }
        return operator== '/' ? left / right : left % right;
    }
}

static uint64_t expression_binary(struct expression *expression, unsigned precedence)
{
    uint64_t value;
    char operator;

    if (precedence == PRECEDENCES) {
        return expression_unary(expression);
    }
    value = expression_binary(expression, precedence + 1);
    while (expression->ret == 0 && (operator= expression_operator(expression, precedence))) {
        uint64_t right = expression_binary(expression, precedence + 1);

        if (expression->ret == 0) {
            value = expression_apply(expression, operator, value, right);
        }
    }
    return value;
}

int hmp_expression_parse(const char *text, hmp_register_fn *registers, void *opaque, uint64_t *value,
                         struct error **err)
{
    struct expression expression = {.text = text, .registers = registers, .opaque = opaque, .err = err};
    uint64_t result = expression_binary(&expression, 0);

    if (expression.ret == 0 && expression_peek(&expression) != '\0') {
        expression_fail(&expression, "the expression doesn't go on");
    }
    if (expression.ret == 0) {
        *value = result;
    }
    return expression.ret;
}
